package mask

import (
	"regexp"
	"strings"
)

// secretParts are the parts of a name that make its value a secret. Parts are divided by - _ . and by a
// capital letter.
var secretParts = words(`pass passw passwd password passwords passphrase passcode pw pwd key keys apikey auth authorization
	authentication bearer jwt cookie cookies token tokens secret secrets sig signature cred creds credential credentials dsn
	salt pin otp totp mfa license licence pepper hmac csrf sid sessionid webhook private mnemonic htpasswd basic phrase`)

// secretInside are found inside of a part too: MYSQLPASSWORD, masterkey.
var secretInside = regexp.MustCompile(`passw(?:or)?d|passphrase|secret|token(?:$|s$)|api_?key|credential|authorization|(?:master|private|access|signing|encryption|account|auth|session|shared|license|stripe|ssh)key$|.(?:passwd|pass|pwd|dsn)$`)

// placeEnd is the end of a name that says where a secret is, not what it is.
var placeEnd = regexp.MustCompile(`(?i)(?:files?|path|dir|folder|name|header|realm|type|length|size|bits|lifetime|ttl|expiry|age)$`)

// harmlessEnd is the end of a name that has a secret's part in it and is none.
var harmlessEnd = regexp.MustCompile(`(?:Error|Exception|Warning)$`)

var capital = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// secretName says whether what has this name may be a secret. It is given options too, with their dashes.
func secretName(name string) bool {
	if harmlessEnd.MatchString(name) {
		return false
	}
	lower := strings.ToLower(capital.ReplaceAllString(name, "${1}_$2"))
	for part := range strings.FieldsFuncSeq(lower, notAlphanumeric) {
		if secretParts[part] || secretParts[strings.TrimRight(part, "0123456789")] || secretInside.MatchString(part) {
			return true
		}
	}
	joined := strings.Join(strings.FieldsFunc(strings.ToLower(name), notAlphanumeric), "")
	return secretInside.MatchString(joined) && !bypass[joined]
}

var bypass = words("bypass compass bypasspwd")

// place says whether a secret's name tells only where it is, as --key-file does.
func place(name string) bool { return placeEnd.MatchString(name) }

func notAlphanumeric(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
}

func words(list string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(list) {
		set[word] = true
	}
	return set
}

// harmlessVariables are the variables whose plain values may be read by anybody.
var harmlessVariables = words(`WEB_CONCURRENCY PORT HOST BIND ADDRESS ADDR LISTEN HOSTNAME SERVER_NAME SERVER_SOFTWARE LANG LANGUAGE LC_ALL TZ PATH PWD HOME USER SHELL TERM
	DJANGO_SETTINGS_MODULE DJANGO_CONFIGURATION RAILS_ENV RACK_ENV NODE_ENV APP_ENV APP_DEBUG APP_MODULE MODULE_NAME VARIABLE_NAME
	FLASK_APP FLASK_ENV FLASK_DEBUG FLASK_RUN_PORT FLASK_RUN_HOST FASTAPI_ENV ENV ENVIRONMENT MODE STAGE DEBUG VERBOSE LOG_LEVEL LOGLEVEL RUST_LOG
	PYTHONUNBUFFERED PYTHONPATH PYTHONDONTWRITEBYTECODE PYTHONHASHSEED PYTHONOPTIMIZE VIRTUAL_ENV BUNDLE_GEMFILE BUNDLE_PATH BUNDLE_WITHOUT GEM_HOME GEM_PATH NODE_PATH
	MALLOC_ARENA_MAX LD_PRELOAD LD_LIBRARY_PATH MALLOC_CONF RUBY_YJIT_ENABLE RAILS_LOG_TO_STDOUT RAILS_LOG_LEVEL RAILS_SERVE_STATIC_FILES GOGC GOMEMLIMIT GOMAXPROCS
	UV_THREADPOOL_SIZE CPU_MS WAIT_MS WORKERS THREADS GUNICORN_WORKERS GUNICORN_THREADS UVICORN_WORKERS UVICORN_HOST UVICORN_PORT UVICORN_LOG_LEVEL
	GRANIAN_WORKERS GRANIAN_INTERFACE GRANIAN_HOST GRANIAN_PORT WORKER_CLASS TIMEOUT GRACEFUL_TIMEOUT
	RAILS_MAX_THREADS RAILS_MIN_THREADS PUMA_MAX_THREADS PUMA_MIN_THREADS MAX_THREADS MIN_THREADS
	APACHE_RUN_DIR APACHE_PID_FILE APACHE_RUN_USER APACHE_RUN_GROUP APACHE_LOG_DIR APACHE_LOCK_DIR APACHE_CONFDIR
	DOCUMENT_ROOT SCRIPT_FILENAME SCRIPT_NAME PATH_INFO REQUEST_METHOD CONTENT_TYPE CONTENT_LENGTH DOCUMENT_URI SERVER_PROTOCOL GATEWAY_INTERFACE
	REMOTE_ADDR REMOTE_PORT SERVER_ADDR SERVER_PORT REQUEST_SCHEME HTTPS HTTP_PROXY REDIRECT_STATUS REQUEST_URI PATH_TRANSLATED`)

func harmlessVariable(name string) bool { return harmlessVariables[strings.ToUpper(name)] }

var optionsEnd = regexp.MustCompile(`(?i)(?:_CMD_ARGS|_ARGS|_OPTS|_OPTIONS|_FLAGS|RUBYOPT)$`)

// holdsOptions is true for a variable that is a command line, as GUNICORN_CMD_ARGS is.
func holdsOptions(name string) bool { return optionsEnd.MatchString(name) }

var countEnd = regexp.MustCompile(`(?i)(?:workers?|threads?|process(?:es)?|procs|concurrency|count|max|min|limit|size|timeout|port|seconds|ms|interval|level|requests|connections|children|instances|cores|cpus|memory|mb|depth|backlog|capacity|delay|sleep|wait)$`)

// countName is the name of a number that may be read by anybody.
func countName(name string) bool { return countEnd.MatchString(name) && !secretName(name) }

// wordOptions are options of servers, and of what starts them, whose value is a word: a name, a mode, a kind.
var wordOptions = words(`bind b host h port p listen l addr address http workers w processes instances i threads t class k worker-class worker loop
	interface lifespan ws http-implementation log-level loglevel log level name n env-file environment e env mode user u group g umask chdir C cwd directory
	d dir config c conf f file ini m module mount wsgi wsgi-file callable call factory app app-dir application root-path pythonpath path forwarded-allow-ips
	proxy-allow-from access-logfile error-logfile access-log error-log log-file logger-class pid pidfile pid-file worker-tmp-dir statsd-host uds fd
	socket s http-socket http-router plugin plugins master-as stats spooler protocol require r import pool execution-mode workdir reload-dir
	reload-include reload-exclude settings scheduler target script tag state control control-url dirty-app limit connections ident runtime-mode
	worker-connections certfile keyfile ca-certs ssl-certfile ssl-keyfile keep-alive timeout timeout-keep-alive backlog with group-add package extra
	python profile filter prefix project only without log-syslog-facility ssl-version ciphers output format uid gid chroot shell
	asgi-loop interface task-impl static-path-route static-path-mount process-name worker-lifetime worker-kill-timeout  access-log-fmt
	A traces_exporter metrics_exporter logs_exporter`)

// wordOption says whether plain words may be read behind the option.
func wordOption(name string) bool { return wordOptions[strings.TrimLeft(name, "-")] }

// flags are options that never take a word, so that what follows is an argument of the command.
var flags = words(`reload debug verbose v q quiet preload master M enable-threads lazy-apps lazy need-app vacuum die-on-term single-interpreter
	daemon D F R nodaemonize foreground no-daemon no-sendfile frozen locked no-dev no-sync all-extras release watch inspect production version V help
	x z access-log no-access-log proxy-headers use-colors no-use-colors factory silent trace-warnings init X y cluster no-server-header`)

func flag(name string) bool { return flags[strings.TrimLeft(name, "-")] }

// harmlessWords are values that say nothing wherever they stand.
var harmlessWords = words(`auto none null nil default all any sync gthread gevent eventlet tornado asgi asginl rsgi wsgi uvloop asyncio rloop winloop httptools h11 h2 http1 http2
	wsproto websockets websockets-sansio critical error warning warn info debug trace notice production development staging test testing local dev prod stage
	localhost single cluster fork spawn dynamic static ondemand run start serve server web app main application dist build src public exec dual
	gunicorn uvicorn puma php-fpm nginx apache2 httpd uwsgi node npm npx yarn pnpm bun deno python python2 python3 ruby bundle rails rackup unicorn granian apache2ctl
	hypercorn waitress waitress-serve flask django fastapi manage.py env exec uv poetry pipenv rye pdm hatch ddtrace-run newrelic-admin opentelemetry-instrument
	get head post put delete patch options stdout stderr syslog json text combined common www-data nobody root nogroup daemon utf-8 utf8 up down true false`)

// harmlessHeaders are those of HTTP that hold no secrets.
var harmlessHeaders = words(`accept accept-encoding accept-language accept-charset cache-control connection content-type content-length content-encoding
	host user-agent upgrade x-forwarded-proto x-forwarded-for x-forwarded-host x-forwarded-port x-real-ip x-request-start server date vary expires keep-alive te range pragma`)

// harmlessQueries are the names in a query whose short values may be read.
var harmlessQueries = words(`q s search query term p page per_page per-page limit offset sort order dir lang locale size format view tab category tag type year month
	day n ms cpu wait bytes count from to width height depth kind mode cpu_ms wait_ms sleep delay v a b c x y z id i seed name`)

func boolean(value string) bool { return booleans[strings.ToLower(value)] }

var booleans = words("true false on off yes no 0 1 none null nil undefined")

var hiddenBehind = words("services service webhook webhooks hook hooks reset invite token tokens secret secrets key keys confirm activate verify unsubscribe magic auth")
