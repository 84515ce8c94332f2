package targets

import (
	"errors"
	"strings"
	"testing"
)

// What has a server started out of reach of the limits is refused whichever server it names, and
// what only looks like it is not.
func TestAway(t *testing.T) {
	for line, want := range map[string]string{
		"docker exec web gunicorn app:app":                      "docker",
		"docker compose exec web gunicorn app:app":              "docker",
		"docker-compose up web":                                 "docker-compose",
		"/usr/bin/podman run image uvicorn app:app":             "podman",
		"podman-compose up nginx x":                             "podman-compose",
		"nerdctl run nginx nginx -c x":                          "nerdctl",
		"kubectl exec pod -- uvicorn app:app":                   "kubectl",
		"ssh prod gunicorn app:app":                             "ssh",
		"sshpass -p x ssh prod gunicorn app:app":                "ssh",
		"service nginx start":                                   "service",
		"sudo service nginx start":                              "service",
		"sudo systemctl start nginx":                            "systemctl",
		"sudo -n -u root systemctl restart gunicorn app":        "systemctl",
		"sudo -E env A=1 nice -n 10 docker run image":           "docker",
		"timeout -k 5 60s ssh prod puma -w 2":                   "ssh",
		"timeout 60 ionice -c 2 -n 7 systemctl start nginx":     "systemctl",
		"taskset -c 0,1 docker run image":                       "docker",
		"supervisorctl restart gunicorn app":                    "supervisorctl",
		"pm2 start server.js":                                   "pm2",
		"npx pm2 start server.js":                               "pm2",
		"nsenter -t 1 -a nginx -c x":                            "nsenter",
		"systemd-run --scope gunicorn app:app":                  "systemd-run",
		"screen -dm gunicorn app:app":                           "screen",
		"tmux new -d gunicorn app:app":                          "tmux",
		"nohup ssh prod gunicorn app:app":                       "ssh",
		"initctl start nginx x":                                 "initctl",
		"rc-service nginx start":                                "rc-service",
		"brew services start nginx":                             "brew",
		"launchctl kickstart nginx x":                           "launchctl",
		"/etc/init.d/nginx start":                               "/etc/init.d/nginx",
		"start-stop-daemon --start --exec nginx -- -c x":        "start-stop-daemon",
		"doppler run -- ssh prod gunicorn app:app":              "ssh",
		"pumactl -S state restart":                              "pumactl",
		"./node_modules/.bin/pm2 start puma -w":                 "pm2",
		"/usr/sbin/service nginx start":                         "service",
		"heroku run gunicorn app:app":                           "heroku",
		"sh -c 'docker exec web gunicorn app:app'":              "docker",
		"sh -c 'cd x && sudo docker exec web gunicorn $APP'":    "docker",
		"sudo bash -lc 'A=1 ssh prod \"gunicorn app:app\" ; x'": "ssh",
		"su - deploy -c 'systemctl start nginx'":                "systemctl",
		"env -S 'ssh prod gunicorn app:app'":                    "ssh",

		"gunicorn docker:app":                                         "",
		"gunicorn --name ssh app:app":                                 "",
		"sudo -u docker gunicorn app:app":                             "",
		"env SSH=ssh gunicorn app:app":                                "",
		"nohup gunicorn app:app":                                      "",
		"nice -n 10 nginx -c x":                                       "",
		"timeout 60 puma -w 2":                                        "",
		"pm2-runtime start server.js -p {port}":                       "",
		"uv run gunicorn app:app":                                     "",
		"bundle exec puma":                                            "",
		"./service --port {port}":                                     "",
		"/app/bin/batch --port {port}":                                "",
		"npm run start -- --port {port}":                              "",
		"brew list":                                                   "",
		"sh -c 'cd docker && exec gunicorn $APP'":                     "",
		"python3 service --port {port}":                               "",
		"./serve --engine docker":                                     "",
		"gunicorn -b 127.0.0.1:1 --access-logformat 'at ssh' app:app": "",
	} {
		words, ok := splitWords(line)
		if !ok {
			t.Fatalf("%s: needs a shell", line)
		}
		if got := away(unwrapShell(words)); got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
		_, err := Recognise(Command{Argv: words, Dir: t.TempDir()})
		var refused *RefusedError
		if want == "" {
			if errors.As(err, &refused) && strings.Contains(err.Error(), "somebody else") {
				t.Errorf("%s: %v", line, err)
			}
			continue
		}
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), want+" has the server started by somebody else") {
			t.Errorf("%s: got %v, want a refusal", line, err)
		}
	}
}
