package mask

import (
	"strings"
	"testing"
)

// planted are secrets of all forms: a word, with digits, with signs, long ones.
var planted = []string{"hunter", "hunter2", "S3CRLOG1", "pa55w0rd", "Tr0ub4dor&3", "8f14e45fceea167a5a36dedd4bea2543", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"}

// secretCommands have SECRET where a secret stands. A line is split into words as a shell does.
var secretCommands = strings.Split(strings.TrimSpace(`
serve --password SECRET
serve --password=SECRET
serve amqp:SECRET@host
serve --db-password=SECRET --port 1
serve --db_password SECRET
serve --pass SECRET
serve --pwd SECRET
serve -password SECRET
serve --passphrase SECRET
serve --key SECRET
serve --api-key SECRET
serve --apikey=SECRET
serve --auth SECRET
serve --bearer SECRET
serve --jwt SECRET
serve --cookie SECRET
serve --cookie=sid=SECRET
serve --token=SECRET
serve --authToken SECRET
serve --client-secret SECRET
serve --secret SECRET
serve --sig SECRET
serve --signature=SECRET
serve --credential SECRET
serve --creds SECRET
serve --dsn SECRET
serve --salt SECRET
serve --otp SECRET
serve --license SECRET
serve --license-key=SECRET
serve --hmac SECRET
serve --private-key SECRET
serve --basic-auth admin:SECRET
serve -u admin:SECRET
serve --user admin:SECRET
serve --user=admin:SECRET
serve -uadmin:SECRET
serve --http-auth=u:SECRET
serve --master-key SECRET
serve --session-secret SECRET
serve --pepper SECRET
serve --password '-SECRET'
serve "--password=$(echo SECRET)"
serve '--password=SECRET'
serve --foo S3-SECRET-x9Z1q8W2
serve -H 'Authorization: Bearer SECRET'
serve -H 'Authorization: Basic SECRET'
serve -H X-Api-Key:SECRET
serve -H 'X-Api-Key: SECRET'
serve '-HX-Api-Key: SECRET'
serve --header 'Cookie: sid=SECRET'
serve --header=X-Auth-Token:SECRET
serve -H 'X-Whatever: SECRET'
serve 'Authorization: SECRET'
serve 'password: SECRET'
serve password:SECRET
serve '{"password":"SECRET"}'
serve --config '{"db":{"password": "SECRET", "port": 1}}'
serve --set password=SECRET
serve --set=db.password=SECRET
serve -Ddb.password=SECRET -jar x.jar
env PASSWORD=SECRET serve
env DB_PASS=SECRET serve
env PGPASSWORD=SECRET serve
env MYSQL_PWD=SECRET serve
env RAILS_MASTER_KEY=SECRET serve
env STRIPE_KEY=SECRET serve
env ENCRYPTION_KEY=SECRET serve
env SIGNING_KEY=SECRET serve
env SECRET_KEY_BASE=SECRET serve
env SECRET_KEY=SECRET serve
env JWT=SECRET serve
env COOKIE=SECRET serve
env SENTRY_DSN=https://SECRET@o1.ingest.sentry.io/42 serve
env FOO=SECRET serve
env XYZZY=SECRET serve
env OTP=SECRET serve
env APP_LICENSE=SECRET serve
env AWS_SECRET_ACCESS_KEY=SECRET serve
env AWS_ACCESS_KEY_ID=SECRET serve
env GITHUB_PAT=SECRET serve
env dbpass=SECRET serve
env DATABASE_URL=postgres://u:SECRET@h/db serve
env REDIS_URL=redis://SECRET@h serve
env REDIS_URL=redis://:SECRET@h:6379/0 serve
env CONN=Server=db;Uid=sa;Pwd=SECRET serve
env 'GUNICORN_CMD_ARGS=--bind x:1 -e PASSWORD=SECRET' serve
env 'JAVA_OPTS=-Xmx1g -Ddb.password=SECRET' serve
env 'PORT=SECRET-x9Z1q8W2' serve
env 'HOST=redis://u:SECRET@h' serve
gunicorn -e TOKEN=SECRET app:app
gunicorn --env=DB_PASSWORD=SECRET app:app
gunicorn -eFOO=SECRET app:app
gunicorn --env FOO=SECRET app:app
serve 'AccountName=a;AccountKey=SECRET;EndpointSuffix=x'
serve 'Server=db;Database=x;User Id=sa;Password=SECRET;'
serve --db 'Server=db;Uid=sa;Pwd=SECRET;'
serve --db=postgres://me:SECRET@db:5432/x
serve --db postgres://me:p/a@SECRET@db/x
serve mongodb+srv://u:SECRET@h/db
serve 'https://SECRET@github.com/org/repo.git'
serve https://u:a/SECRET@h.example/x
serve 'https://h.example/x?sig=SECRET'
serve 'https://h.example/x?a=1&token=SECRET#x'
serve 'https://h.example/cb#access_token=SECRET'
serve https://hooks.slack.com/services/T0001/B0001/SECRET
serve https://discord.com/api/webhooks/123456789/SECRET
serve https://h.example/reset/SECRET
serve --webhook https://hooks.example.com/SECRET
serve ghp_SECRETx9Z1q8W2
serve github_pat_SECRETx9Z1q8W2
serve gho_SECRETx9Z1q8W2
serve sk_live_SECRETx9Z1q8W2
serve sk-SECRETx9Z1q8W2
serve xoxb-SECRETx9Z1q8W2
serve glpat-SECRETx9Z1q8W2
serve npm_SECRETx9Z1q8W2
serve hf_SECRETx9Z1q8W2
serve eyJhbGciOiJIUzI1NiJ9.SECRET.x9Z1q8W2
serve AIzaSECRETx9Z1q8W2
serve AKIAIOSFODNN7SECRET
serve '-----BEGIN RSA PRIVATE KEY----- SECRET -----END RSA PRIVATE KEY-----'
serve --name ghp_SECRETx9Z1q8W2
sh -c 'PASSWORD=SECRET serve'
sh -c 'TOKEN=SECRET serve --x'
sh -c 'export DB_PASS=SECRET; serve'
sh -c 'serve --password SECRET --x'
sh -c 'serve --password="SECRET" --x'
sh -c 'serve --password \NEWLINE  SECRET'
sh -c 'serve -H "Authorization: Bearer SECRET"'
sh -c 'serve -u admin:SECRET'
sh -c "serve --token 'SECRET'"
sh -c 'login <<< SECRET && serve'
sh -c 'login <<<"SECRET" && serve'
sh -c 'X=$(curl -H "X-Api-Key: SECRET" h) serve'
sh -c 'serve ${DB_PASS:-SECRET}'
sh -c 'echo SECRET-x9Z1q8W2 | login && serve'
sh -c 'curl -d "{\"password\":\"SECRET\"}" h; serve'
bash -lc 'DATABASE_URL=postgres://u:SECRET@h/db exec serve'
python -c 'import app; app.run(password="SECRET")'
python -c 'import os; os.environ["K"] = "SECRET"'
node -e 'require("./x").run({token: "SECRET"})'
`), "\n")

// secretLines are of logs.
var secretLines = strings.Split(strings.TrimSpace(`
SECRET_KEY=SECRET
run: serve --password SECRET
run: serve --token=SECRET
['serve', '--token', 'SECRET']
curl -u admin:SECRET http://h
<password>SECRET</password>
password: SECRET
password=SECRET
dying password=SECRET now
DB_PASS=SECRET
db_password = "SECRET"
connect(password='SECRET')
{'PASSWORD': 'SECRET', 'USER': 'u'}
{"password":"SECRET","n":1}
{"msg":"x","api_key" : "SECRET"}
"msg={\"password\":\"SECRET\"}"
secret => SECRET
Authorization: Bearer SECRET
Authorization: Basic SECRET
authorization=SECRET
> Authorization: Token SECRET
{'Authorization': 'Bearer SECRET'}
Cookie: a=b; sid=SECRET
Set-Cookie: sid=SECRET; Path=/
set-cookie: sid=SECRET
X-Api-Key: SECRET
x-auth-token=SECRET
could not connect to postgres://u:SECRET@h/db
connecting to redis://:SECRET@h:6379/0
redis://SECRET@h
amqp://u:a/SECRET@h/v
GET https://h.example/cb?token=SECRET
"GET /cb?token=SECRET HTTP/1.1" 200
callback?access_token=SECRET&state=x
password%3DSECRET
api_key%3aSECRET
using STRIPE_KEY=SECRET
accountKey=SECRET;EndpointSuffix=x
Server=db;Uid=sa;Pwd=SECRET
jwt=SECRET
sig=SECRET
passphrase: SECRET
client_secret: SECRET
ghp_SECRETx9Z1q8W2x9Z1q8W2
sk_live_SECRETx9Z1q8W2
xoxb-SECRETx9Z1q8W2
AKIAIOSFODNN7SECRET
eyJhbGciOiJIUzI1NiJ9.SECRETx9.x9Z1q8W2
-----BEGIN PRIVATE KEY-----SECRET
`), "\n")

// secretTexts are lines of configuration files.
var secretTexts = strings.Split(strings.TrimSpace(`
proxy_set_header Authorization "Bearer SECRET";
proxy_set_header Authorization "Basic SECRET";
proxy_set_header Cookie "sid=SECRET";
proxy_set_header X-Whatever SECRET;
add_header X-Foo "SECRET";
fastcgi_param DB_PASS SECRET;
fastcgi_param DB_PASS "SECRET";
fastcgi_param FOO SECRET;
uwsgi_param FOO SECRET;
secure_link_md5 "$uri SECRET";
if ($arg_key = "SECRET") { return 200; }
if ($arg_key = SECRET) { return 200; }
if ($http_x_key != "SECRET") { return 403; }
set $token "SECRET";
set $foo SECRET;
env DB_PASS=SECRET;
proxy_pass http://u:SECRET@h:80;
proxy_pass https://h.example/x?sig=SECRET;
env = DB_PASS=SECRET
env=DB_PASS=SECRET
MASTERKEY=SECRET
masterkey = SECRET
http-auth = u:SECRET
http-basic-auth = u:SECRET
password = SECRET
password: SECRET
unknown-thing = SECRET
env[DB_PASS] = SECRET
env[FOO] = SECRET
env[FOO] = "SECRET"
php_admin_value[mysqli.default_pw] = SECRET
php_value[foo] = SECRET
SetEnv DB_PASS SECRET
SetEnv FOO "SECRET"
RequestHeader set Authorization "Bearer SECRET"
RequestHeader set X-Foo SECRET
Header always set X-Foo "SECRET"
AuthDigestKey SECRET
SSLPassPhraseDialog SECRET
php_admin_value foo SECRET
setenv.add-environment = ( "DB_PASS" => "SECRET" )
setenv.add-environment = ( "A" => "b", "FOO" => "SECRET" )
setenv.add-request-header = ( "Authorization" => "SECRET" )
ENV["DB_PASS"] = "SECRET"; require "x"; require('y')
ENV['FOO'] ||= 'SECRET'; require('y')
os.environ["FOO"] = "SECRET"; exec(compile(x))
{"db": {"password": "SECRET"}}
{"a": ["SECRET-x9Z1q8W2"]}
# password = SECRET
; password: SECRET
DATABASE_URL=postgres://u:SECRET@h/db
`), "\n")

func TestNoSecretSurvives(t *testing.T) {
	for _, secret := range planted {
		fill := strings.NewReplacer("SECRET", secret, "NEWLINE", "\n").Replace
		// names with SECRET in them stay names
		names := strings.NewReplacer("SECRET_KEY_BASE", "SEKRET_KEY_BASE", "SECRET_KEY", "SEKRET_KEY", "SECRET_ACCESS", "SEKRET_ACCESS")
		for _, line := range secretCommands {
			line = fill(names.Replace(line))
			argv := wordsOf(line)
			masked, changed := Command(argv)
			if text := strings.Join(masked, " "); strings.Contains(text, secret) || !changed || !strings.Contains(text, Mark) {
				t.Errorf("%q became %q", argv, masked)
			}
			if again, changed := Command(masked); changed {
				t.Errorf("%q masked again is %q", masked, again)
			}
			if text := Script(line); strings.Contains(text, secret) && !strings.ContainsAny(secret, "&") {
				t.Errorf("as a script %s became %s", line, text)
			}
		}
		for _, line := range secretLines {
			line = fill(names.Replace(line))
			if masked := Line(line); strings.Contains(masked, secret) || Line(masked) != masked {
				t.Errorf("the line %s became %s", line, masked)
			}
		}
		for _, line := range secretTexts {
			line = fill(names.Replace(line))
			if masked := Text(line + "\n"); strings.Contains(masked, secret) || Text(masked) != masked {
				t.Errorf("the file %s became %s", line, masked)
			}
		}
	}
}
