package mask

import (
	"slices"
	"strings"
	"testing"
)

// ordinaryCommands are what people type. One that is masked has to be given again to go on with its record.
var ordinaryCommands = []string{
	"gunicorn -k gthread --threads 4 shop.wsgi",
	"gunicorn shop.wsgi --bind 0.0.0.0:8000 --workers 3 --timeout 120",
	"gunicorn -w 4 -b :8000 'app:create_app()'",
	"gunicorn -w4 -b unix:/run/app.sock -k gevent --worker-connections 1000 app:app",
	"gunicorn -c gunicorn.conf.py --name shop --access-logfile - app.main:app",
	"gunicorn --preload --max-requests 1000 --max-requests-jitter 50 --log-level info project.wsgi:application",
	"gunicorn -k uvicorn.workers.UvicornWorker app.main:app",
	"gunicorn --keyfile /etc/ssl/key.pem --certfile /etc/ssl/cert.pem app:app",
	"gunicorn -u www-data -g www-data app:app",
	"gunicorn --config python:shop.settings.gunicorn shop.wsgi",
	"gunicorn tokens:app --name secret-service",
	"python -m gunicorn app:app",
	"python3.11 -m gunicorn --pythonpath src/app app:app",
	"env WEB_CONCURRENCY=4 gunicorn app:app",
	"env DJANGO_SETTINGS_MODULE=shop.settings.production gunicorn shop.wsgi",
	"env A=1 B=2 gunicorn -w 2 app:app",
	"GUNICORN_CMD_ARGS='--bind 0.0.0.0:8000 --workers 3' gunicorn app:app",
	"RAILS_ENV=production RAILS_MAX_THREADS=5 bundle exec puma -C config/puma.rb",
	"uvicorn app:app --host 0.0.0.0",
	"uvicorn app.main:app --host 0.0.0.0 --port 80 --workers 4 --loop uvloop --http httptools --proxy-headers",
	"uvicorn --factory app:create_app --lifespan on --no-access-log",
	"uvicorn app.main:app --reload --reload-dir src --log-level debug",
	"hypercorn -b 0.0.0.0:8000 -k uvloop app:app",
	"granian --interface asgi --workers 2 --host 0.0.0.0 main:app",
	"waitress-serve --listen=*:8080 --threads=8 app:app",
	"uwsgi --http :8000 --module shop.wsgi --master --processes 4 --threads 2",
	"uwsgi --ini uwsgi.ini --need-app",
	"uwsgi -s 127.0.0.1:9000 -w app:app -p 4 --harakiri 30",
	"puma -C config/puma.rb",
	"puma -t 5:5 -w 2 -p 3000 config.ru",
	"puma -b tcp://0.0.0.0:9292 -e production",
	"bundle exec rails server -b 0.0.0.0 -p 3000 -e production",
	"bin/rails s", "unicorn -c config/unicorn.rb -E production",
	"php-fpm8.2 -y x.conf",
	"php-fpm8.2 --nodaemonize --fpm-config /etc/php/8.2/fpm/php-fpm.conf",
	"php-fpm -F -R -d memory_limit=512M",
	"php -S 0.0.0.0:8000 -t public",
	"apache2ctl -D FOREGROUND", "apache2 -f /etc/apache2/apache2.conf -k start -X",
	"nginx -c /etc/nginx/nginx.conf -g 'daemon off;'",
	"nginx -g 'daemon off; worker_processes 4;' -p /srv/www/",
	"lighttpd -D -f /etc/lighttpd/lighttpd.conf",
	"node server.js", "node --max-old-space-size=512 dist/server.js --port 3000",
	"node --require ./tracing.js src/index.mjs", "NODE_ENV=production node dist/main.js",
	"NODE_OPTIONS=--max-old-space-size=4096 UV_THREADPOOL_SIZE=8 node app.js",
	"npm start", "npm run start:prod", "yarn workspace api start", "pnpm --filter web start", "npx next start -p 3000",
	"pm2-runtime app.js -i max", "python3 srv.py ok {port} {workers}", "python app.py", "python manage.py runserver 0.0.0.0:8000",
	"flask run --host=0.0.0.0", "flask --app shop run --debug", "fastapi run main.py --workers 4",
	"honcho start", "uv run --frozen gunicorn app:app", "poetry run uvicorn app:app", "pipenv run gunicorn app:app", "ddtrace-run gunicorn app:app",
	"newrelic-admin run-program gunicorn app:app",
	"opentelemetry-instrument --traces_exporter console gunicorn app:app",
	"sh -c 'python manage.py migrate && gunicorn shop.wsgi --bind 0.0.0.0:$PORT --workers 3'",
	"sh -c 'exec gunicorn app:app --workers ${WEB_CONCURRENCY:-2} --bind :${PORT:-8000}'",
	"sh -c 'echo migrate >> migrations.log && gunicorn waits:app --bind 0.0.0.0:$PORT --workers 3'",
	"bash -lc 'source venv/bin/activate; exec gunicorn -w $(nproc) app:app'",
	"sh -c 'while true; do sleep 1; done'",
	"sh -c 'python manage.py collectstatic --noinput && \\\n  gunicorn app:app'",
	"java -Xmx512m -jar target/shop-1.2.3.jar --server.port=8080",
	"java -server -XX:+UseG1GC -jar app.jar", "./server -listen :8080 -workers {workers}", "./bin/shop --addr {host}:{port}",
	"env GOMAXPROCS={workers} ./server", "deno run --allow-net main.ts", "bun run index.ts",
	"serve -b {host}:{port} -w {workers}", "/usr/local/bin/serve --config=/etc/shop/serve.toml --verbose",
	"timeout 60 gunicorn app:app", "nice -n 10 gunicorn app:app", "taskset -c 0-1 node server.js",
	"./venv/bin/gunicorn --chdir /srv/shop/src shop.wsgi",
	"mix phx.server", "dotnet Shop.dll --urls http://0.0.0.0:5000", "celery -A shop worker", "daphne -b 0.0.0.0 -p 8000 shop.asgi:application",
	"python3 -c 'import app; app.run()'", "advise demo --cpu 5ms --wait 20ms", "thrust bin/rails server", "jemalloc.sh gunicorn app:app",
}

func TestOrdinaryCommandsAreShown(t *testing.T) {
	for _, line := range ordinaryCommands {
		argv := wordsOf(line)
		if masked, changed := Command(argv); changed {
			t.Errorf("%q became %q", argv, masked)
		}
		if masked := Script(line); masked != line {
			t.Errorf("as a script, %s became %s", line, masked)
		}
	}
}

// wordsOf splits a line as a shell does.
func wordsOf(line string) []string {
	var argv []string
	for line != "" {
		line = line[between(line):]
		if line == "" {
			break
		}
		length := wordLength(line)
		argv = append(argv, cook(line[:length]))
		line = line[length:]
	}
	return argv
}

// lastWords are what real servers log when they can't start or die.
var lastWords = strings.Split(strings.TrimSpace(`
[2024-05-02 10:11:12 +0000] [4711] [INFO] Starting gunicorn 20.1.0
[2024-05-02 10:11:12 +0000] [4711] [INFO] Listening at: http://127.0.0.1:8000 (4711)
[2024-05-02 10:11:12 +0000] [4711] [INFO] Using worker: sync
[2024-05-02 10:11:12 +0000] [4712] [INFO] Booting worker with pid: 4712
[2024-05-02 10:11:12 +0000] [4712] [ERROR] Exception in worker process
[2024-05-02 10:11:12 +0000] [4711] [ERROR] Worker (pid:4712) was sent SIGKILL! Perhaps out of memory?
[2024-05-02 10:11:12 +0000] [4711] [ERROR] Connection in use: ('127.0.0.1', 8000)
[2024-05-02 10:11:12 +0000] [4711] [INFO] Shutting down: Master
[2024-05-02 10:11:12 +0000] [4711] [INFO] Reason: Worker failed to boot.
[2024-05-02 10:11:12 +0000] [4711] [CRITICAL] WORKER TIMEOUT (pid:4712)
Traceback (most recent call last):
  File "/usr/lib/python3/dist-packages/gunicorn/arbiter.py", line 609, in spawn_worker
    worker.init_process()
    return self._call_with_frames_removed(f, *args, **kwds)
    mod = importlib.import_module(module)
    SECRET_KEY = os.environ["SECRET_KEY"]
    password=os.environ.get('DB_PASSWORD'),
  File "<frozen importlib._bootstrap>", line 1050, in _gcd_import
  File "/app/auth/token.py", line 12, in check_token
ModuleNotFoundError: No module named 'flask'
ModuleNotFoundError: No module named 'auth2fa'
KeyError: 'SECRET_KEY'
django.core.exceptions.ImproperlyConfigured: The SECRET_KEY setting must not be empty.
OSError: [Errno 98] Address already in use
PermissionError: [Errno 13] Permission denied: '/var/log/app.log'
SyntaxError: invalid syntax (app.py, line 3)
ERROR:    Error loading ASGI app. Could not import module "main".
INFO:     Started server process [4711]
INFO:     Waiting for application startup.
INFO:     Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)
ERROR:    [Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): address already in use
INFO:     127.0.0.1:51234 - "GET /s?q=tea HTTP/1.1" 200 OK
[4711] Puma starting in cluster mode...
[4711] * Puma version: 6.0.2 (ruby 3.1.2-p20) ("Sunflower")
[4711] *  Min threads: 5
[4711] * Listening on http://127.0.0.1:9292
[4711] - Worker 0 (PID: 4712) booted in 0.01s, phase: 0
[4711] ! Unable to load application: LoadError: cannot load such file -- sinatra
/usr/lib/ruby/3.1.0/socket.rb:201:in 'bind': Address already in use - bind(2) for 127.0.0.1:9292 (Errno::EADDRINUSE)
config.ru:1:in 'block in <main>': uninitialized constant Foo (NameError)
bundler: failed to load command: puma (/usr/local/bundle/bin/puma)
Could not find gem 'puma (~> 6.0)' in locally installed gems.
[02-May-2024 10:11:12] NOTICE: fpm is running, pid 4711
[02-May-2024 10:11:12] NOTICE: ready to handle connections
[02-May-2024 10:11:12] ERROR: unable to bind listening socket for address '/run/php/php8.2-fpm.sock': No such file or directory (2)
[02-May-2024 10:11:12] WARNING: [pool www] server reached pm.max_children setting (5), consider raising it
[02-May-2024 10:11:12] ALERT: [pool www] user has not been defined
PHP Fatal error:  Uncaught Error: Call to undefined function foo() in /srv/www/index.php:3
PHP Parse error:  syntax error, unexpected token "=>", expecting "]" in /srv/www/index.php on line 12
PHP Warning:  PHP Startup: Unable to load dynamic library 'mysqli' (tried: /usr/lib/php/20220829/mysqli (No such file))
SQLSTATE[HY000] [1045] Access denied for user 'root'@'localhost' (using password: YES)
SQLSTATE[HY000] [2002] Connection refused
nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)
nginx: [emerg] cannot load certificate key "/etc/ssl/private/x.key": BIO_new_file() failed (SSL: error:02001002:system library:fopen:No such file or directory)
nginx: [emerg] unknown directive "worker_proceses" in /etc/nginx/nginx.conf:2
2024/05/02 10:11:12 [error] 4711#4711: *1 connect() failed (111: Connection refused) while connecting to upstream, client: 127.0.0.1, server: , request: "GET / HTTP/1.1", upstream: "http://127.0.0.1:8000/", host: "127.0.0.1"
2024/05/02 10:11:12 [notice] 4711#4711: signal 15 (SIGTERM) received from 1, exiting
AH00558: apache2: Could not reliably determine the server's fully qualified domain name, using 127.0.1.1. Set the 'ServerName' directive globally to suppress this message
(98)Address already in use: AH00072: make_sock: could not bind to address 0.0.0.0:80
[Thu May 02 10:11:12.123456 2024] [mpm_event:notice] [pid 4711:tid 140234567890] AH00489: Apache/2.4.57 (Debian) configured -- resuming normal operations
AH00526: Syntax error on line 12 of /etc/apache2/sites-enabled/000-default.conf:
Invalid command 'ProxyPas', perhaps misspelled or defined by a module not included in the server configuration
[Thu May 02 10:11:12.123456 2024] [core:notice] [pid 4711] AH00052: child pid 4712 exit signal Segmentation fault (11)
*** Starting uWSGI 2.0.21-debian (64bit) on [Thu May  2 10:11:12 2024] ***
compiled with version: 12.2.0 on 14 January 2023 12:00:00
*** Operational MODE: preforking ***
unable to load app 0 (mountpoint='') (callable not found or import error)
*** no app loaded. GAME OVER ***
spawned uWSGI worker 1 (pid: 4712, cores: 1)
probably another instance of uWSGI is running on the same address (127.0.0.1:8000).
bind(): Address already in use [core/socket.c line 769]
DAMN ! worker 1 (pid: 4712) died, killed by signal 9 :( trying respawn ...
node:internal/modules/cjs/loader:1080
  throw err;
Error: Cannot find module '/srv/app/server.js'
    at Module._resolveFilename (node:internal/modules/cjs/loader:1077:15)
    at Object.<anonymous> (/srv/app/node_modules/express/lib/router/index.js:284:7)
    at async Promise.all (index 0)
  code: 'EADDRINUSE',
  errno: -98,
  syscall: 'listen',
Error: listen EADDRINUSE: address already in use 127.0.0.1:3000
SyntaxError: Unexpected token '}'
SyntaxError: Unexpected token u in JSON at position 0
TypeError: Cannot read properties of undefined (reading 'apiKey')
Node.js v18.19.0
(Use 'node --trace-warnings ...' to show where the warning was created)
<--- Last few GCs --->
[4711:0x5581c0a3f2b0]    28562 ms: Mark-sweep (reduce) 255.8 (257.4) -> 255.1 (257.9) MB, 310.5 / 0.0 ms  (average mu = 0.2, current mu = 0.1) allocation failure
FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory
 1: 0xb7a940 node::Abort() [node]
 2: 0xa8e823 v8::internal::V8::FatalProcessOutOfMemory(v8::internal::Isolate*, char const*, bool) [node]
[INFO] Starting granian (main PID: 4711)
[INFO] Listening at: http://127.0.0.1:8000
[ERROR] Unable to load the application: module not found
[2024-05-02 10:11:12 +0000] [4711] [INFO] Running on http://127.0.0.1:8000 (CTRL + C to quit)
INFO:waitress:Serving on http://127.0.0.1:8080
WARNING:waitress.queue:Task queue depth is 12
FATAL:  password authentication failed for user "app"
redis.exceptions.AuthenticationError: Authentication required.
Segmentation fault (core dumped)
panic: runtime error: index out of range [5] with length 3
goroutine 1 [running]:
main.main()
	/src/main.go:12 +0x1d
Exception in thread "main" java.lang.NullPointerException: Cannot invoke "String.length()" because "<local1>" is null
	at com.example.shop.Application.main(Application.java:12)
sh: 1: gunicorn: not found
ld.so: object '/usr/lib/x86_64-linux-gnu/libjemalloc.so.2' from LD_PRELOAD cannot be preloaded
See https://docs.gunicorn.org/en/stable/settings.html#worker-class for more.
terminate called after throwing an instance of 'std::bad_alloc'
killed by signal 9
unknown key "p97": known are p50, p90
thread 'main' panicked at src/main.rs:12:5: called Option::unwrap() on a None value
`), "\n")

func TestOrdinaryLinesStay(t *testing.T) {
	for _, line := range lastWords {
		if masked := Line(line); masked != line {
			t.Errorf("%s\nbecame\n%s", line, masked)
		}
	}
	if masked := (Known{}).Lines(lastWords); !slices.Equal(masked, lastWords) {
		for i := range masked {
			if masked[i] != lastWords[i] {
				t.Errorf("of several: %s became %s", lastWords[i], masked[i])
			}
		}
	}
}
