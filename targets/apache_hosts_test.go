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

const apacheModules = "LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\n" +
	"LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\nLoadModule dir_module /usr/lib/apache2/modules/mod_dir.so\n" +
	"LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so\nLoadModule rewrite_module /usr/lib/apache2/modules/mod_rewrite.so\n" +
	"LoadModule socache_shmcb_module /usr/lib/apache2/modules/mod_socache_shmcb.so\nLoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so\n" +
	"Listen 80\nListen 443\nUser www-data\nGroup www-data\n<Directory {dir}>\nRequire all granted\n</Directory>\n"

// The page of the host with TLS is measured where the plain one only leads to it; where that has pages, those are.
func TestApacheServesBehindRedirect(t *testing.T) {
	targetstest.Need(t, "apache2")
	const (
		tls   = "<VirtualHost *:443>\nServerName a:443\nDocumentRoot {dir}\nSSLEngine on\nSSLCertificateFile /nowhere/c.pem\n</VirtualHost>\n"
		pages = "DocumentRoot {dir}\n</VirtualHost>\n"
		empty = "DocumentRoot {dir}/sites\n</VirtualHost>\n"
	)
	for name, hosts := range map[string]string{
		"redirect":                  "<VirtualHost *:80>\nServerName a\nRedirect permanent / https://a/\n</VirtualHost>\n" + tls,
		"redirect, named otherwise": "<VirtualHost *:80>\nRedirectMatch 301 ^/(.*)$ https://a/$1\n</VirtualHost>\n" + tls,
		"certbot": "<VirtualHost *:80>\nServerName a\nRewriteEngine on\nRewriteCond %{SERVER_NAME} =a\n" +
			"RewriteRule ^ https://%{SERVER_NAME}%{REQUEST_URI} [END,NE,R=permanent]\n" + empty + tls,
		"TLS alone":       "DocumentRoot {dir}/sites\n" + tls,
		"both have pages": "<VirtualHost *:80>\nServerName a\n" + pages + strings.Replace(tls, "DocumentRoot {dir}", "DocumentRoot {dir}/sites", 1),
		"no host":         "Define SITES {dir}/sites\nDefine MORE ${SITES}/more\nInclude ${MORE}/*.conf\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := targetstest.Copied(t, "static")
			fill := strings.NewReplacer("{dir}", dir)
			put(t, filepath.Join(dir, "own.conf"), fill.Replace(apacheModules+hosts))
			put(t, filepath.Join(dir, "sites/more/a.conf"), fill.Replace("DocumentRoot {dir}\n"))
			target, err := Recognise(Command{Argv: []string{"apache2", "-f", filepath.Join(dir, "own.conf")}, Env: marked(t), Dir: dir})
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

func TestApacheFiles(t *testing.T) {
	dir := folder(t, map[string]string{
		"to.conf":        "<VirtualHost *:80>\nRedirect / https://a/\n</VirtualHost>\n",
		"old.conf":       "<VirtualHost *:80>\nRedirect /old https://a/\n</VirtualHost>\n",
		"none.conf":      "Include ${NOWHERE}/*.conf\n",
		"root.conf":      "Define TOP {top}\nServerRoot \"${TOP}/x\"\nInclude sub/*.conf\n",
		"env.conf":       "Include ${FROM}/*.conf\n",
		"undefined.conf": "Define X y\nUnDefine X\nInclude ${X}/a.conf\n",
		"x/sub/a.conf":   "MaxRequestWorkers 50\nThreadsPerChild 10\n",
		"envvars":        "export FROM=x/sub\n",
	})
	put(t, filepath.Join(dir, "root.conf"), "Define TOP "+dir+"\nServerRoot \"${TOP}/x\"\nInclude sub/*.conf\n")
	for name, want := range map[string]string{
		"to.conf": "no more than lead to https", "old.conf": "", "none.conf": "${NOWHERE} is not defined", "root.conf": "", "env.conf": "",
		"undefined.conf": "${X} is not defined",
	} {
		target, err := Recognise(Command{Argv: []string{"apache2", "-f", filepath.Join(dir, name)}, Dir: dir})
		if want != "" {
			var refused *RefusedError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", name, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s := target.Shape(); name != "old.conf" && s.Workers != 5 {
			t.Errorf("%s: %d workers, want the 5 that the included file asks for", name, s.Workers)
		}
	}
}
