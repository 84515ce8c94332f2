package targets

import (
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"advise/targets/targetstest"
)

func TestNginxHosts(t *testing.T) {
	for text, want := range map[string]nginxHost{
		"return 301 https://$host$request_uri;":                                                   nginxToTLS,
		"root /x; return https://a$request_uri; location / { proxy_pass http://b; }":              nginxToTLS,
		"rewrite ^ https://$host$request_uri? permanent;":                                         nginxToTLS,
		"location /.well-known/acme-challenge/ { root /x; } location / { return 301 https://a; }": nginxToTLS,
		"if ($host = a) { return 301 https://$host$request_uri; } server_name a; return 404;":     nginxToTLS,
		"server_name www.a; return 301 $scheme://a$request_uri;":                                  nginxRedirects,
		"rewrite ^(.*)$ /new$1 permanent;":                                                        nginxRedirects,
		"server_name _; return 444;":                                                              nginxTurnsAway,
		"ssl_reject_handshake on;":                                                                nginxTurnsAway,
		"location / { return 403; }":                                                              nginxTurnsAway,
		"root /x;":                                                                                nginxServes,
		"":                                                                                        nginxServes,
		"return 200 ok;":                                                                          nginxServes,
		"location / { proxy_pass http://b; } location /old { return 301 https://a; }": nginxServes,
		"location /old { return 301 https://a; }":                                     nginxServes,
		"rewrite ^/old$ https://a permanent; root /x;":                                nginxServes,
		"if ($request_method = PUT) { return 405; } root /x;":                         nginxServes,
	} {
		block, err := parseNginx(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := hostOf(block); got != want {
			t.Errorf("%s: got %d, want %d", text, got, want)
		}
	}
}

// The page of a host with TLS is measured, though another host of its port 80 leads to it, is the default or
// comes first, or it leads there itself.
func TestNginxServesBehindRedirect(t *testing.T) {
	targetstest.Need(t, "nginx")
	const tls = "listen 443 ssl; ssl_certificate c.pem; ssl_certificate_key k.pem; root {dir};"
	for name, hosts := range map[string]string{
		"same name":     "server { listen 80; listen [::]:80; server_name a; return 301 https://a$request_uri; } server { server_name a; " + tls + " }",
		"default":       "server { " + strings.Replace(tls, "443", "443 default_server", 1) + " } server { listen 80 default_server; return 301 https://$host$request_uri; }",
		"certbot":       "server { if ($host = a) { return 301 https://$host$request_uri; } listen 80; server_name a; return 404; } server { server_name a; " + tls + " }",
		"turned away":   "server { listen 80 default_server; server_name _; return 444; } server { server_name a; " + tls + " }",
		"in one":        "server { listen 80; " + tls + " if ($scheme = http) { return 301 https://$host$request_uri; } }",
		"without slash": "server { listen 80; server_name www.a; return 301 http://a$request_uri; } server { server_name a www.a; " + tls + " }",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := targetstest.Copied(t, "static")
			put(t, filepath.Join(dir, "own.conf"), "events {}\nhttp { "+strings.ReplaceAll(hosts, "{dir}", dir)+" }\n")
			target, err := Recognise(Command{Argv: []string{"nginx", "-c", filepath.Join(dir, "own.conf")}, Env: marked(t), Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			i, err := unlimited(t, target, 1, nil)
			if err != nil {
				t.Fatalf("%v\n%s", err, logOf(err))
			}
			if a := (Probe{}).ask(t.Context(), i.URL, 5*time.Second); a.status != http.StatusOK {
				t.Errorf("the page %v", a)
			}
		})
	}
}

func TestNginxOnlyRedirects(t *testing.T) {
	dir := folder(t, map[string]string{
		"n.conf": "events {}\nhttp { server { listen 80; return 301 https://a$request_uri; } server { listen 80 default_server; return 444; } }\n",
	})
	_, err := Recognise(Command{Argv: []string{"nginx", "-c", filepath.Join(dir, "n.conf")}, Dir: dir})
	var refused *RefusedError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "no more than lead to https") || !strings.Contains(refused.Hint, "that has the pages") {
		t.Errorf("got %v", err)
	}
}
