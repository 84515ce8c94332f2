package targets

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// An fpmConf is what php-fpm would read, with one pool to measure.
type fpmConf struct {
	fpmPool
	prefix string   // where relative names of included files may begin
	path   string   // of the file that includes the others
	global []string // lines of the section [global]
	pools  []fpmPool
}

// An fpmPool is one of the pools.
type fpmPool struct {
	pool     string   // its name
	poolPath string   // the file that begins it
	lines    []string // its lines
}

// fpmUsual is what the only pool is called where it comes with the package; of several it is measured.
const fpmUsual = "www"

func loadFPM(path, prefix string) (fpmConf, error) {
	f := fpmConf{prefix: prefix, path: path}
	if _, err := f.read(path, "global", 0); err != nil {
		return fpmConf{}, err
	}
	usual := slices.IndexFunc(f.pools, func(p fpmPool) bool { return p.pool == fpmUsual })
	switch {
	case len(f.pools) == 0:
		return fpmConf{}, errors.New("there is no pool in it")
	case len(f.pools) == 1:
		f.fpmPool = f.pools[0]
	case usual >= 0:
		f.fpmPool = f.pools[usual]
	default:
		return f, fmt.Errorf("%w: %s", errFPMPools, f.names())
	}
	return f, nil
}

// errFPMPools is a configuration that does not tell which of its pools is meant.
var errFPMPools = errors.New("it has several pools, and none is called " + fpmUsual)

func (f fpmConf) names() string {
	var names []string
	for _, p := range f.pools {
		names = append(names, p.pool)
	}
	return strings.Join(names, ", ")
}

// alone is a file with one pool that is not the one measured; empty: there is none.
func (f fpmConf) alone() string {
	for _, p := range f.pools {
		shares := func(o fpmPool) bool { return o.pool != p.pool && o.poolPath == p.poolPath }
		if p.pool != f.pool && p.poolPath != f.path && !slices.ContainsFunc(f.pools, shares) {
			return p.poolPath
		}
	}
	return ""
}

// read takes in a file and those that it includes. It begins within a section and returns that in
// which it ends: a file goes on where the one before it stopped.
func (f *fpmConf) read(path, section string, depth int) (string, error) {
	if depth > deepestInclude {
		return "", errors.New("its files include each other")
	}
	text, err := readSmall(path)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		key, value := fpmLine(line)
		switch {
		case line == "" || line[0] == ';' || line[0] == '#':
		case line[0] == '[' && line[len(line)-1] == ']':
			section = line[1 : len(line)-1]
			if section != "global" && !slices.ContainsFunc(f.pools, func(p fpmPool) bool { return p.pool == section }) {
				f.pools = append(f.pools, fpmPool{pool: section, poolPath: path})
			}
		case key == "include":
			for _, included := range f.included(value, filepath.Dir(path)) {
				if section, err = f.read(included, section, depth+1); err != nil {
					return "", err
				}
			}
		case section == "global":
			f.global = append(f.global, line)
		default:
			for i := range f.pools {
				if f.pools[i].pool == section {
					f.pools[i].lines = append(f.pools[i].lines, line)
				}
			}
		}
	}
	return section, nil
}

// included are the files of a pattern. A relative one begins at the prefix that php-fpm was given or
// compiled with.
func (f *fpmConf) included(pattern, dir string) []string {
	for _, base := range []string{f.prefix, dir, filepath.Dir(dir)} {
		if base == "" {
			continue
		}
		if files, _ := filepath.Glob(inDir(base, pattern)); len(files) > 0 {
			return files
		}
	}
	return nil
}

func fpmLine(line string) (key, value string) {
	key, value, _ = strings.Cut(line, "=")
	return strings.TrimSpace(key), strings.Trim(strings.TrimSpace(value), `"`)
}

// setting is the last value of a key of the pool.
func (f fpmConf) setting(name string) string {
	found := ""
	for _, line := range f.lines {
		if key, value := fpmLine(line); key == name {
			found = value
		}
	}
	return found
}

// most is how many processes all pools may have together; 0: any number.
func (f fpmConf) most() int {
	n := 0
	for _, line := range f.global {
		if key, value := fpmLine(line); key == "process.max" {
			n = positive(value)
		}
	}
	return n
}

var (
	fpmGlobalOwned = []string{"pid", "error_log", "daemonize", "process.max"}
	fpmPoolOwned   = []string{
		"listen", "listen.owner", "listen.group", "listen.mode", "listen.acl_users", "listen.acl_groups", "listen.allowed_clients",
		"pm", "pm.max_children", "pm.start_servers", "pm.min_spare_servers", "pm.max_spare_servers", "pm.max_spawn_rate",
		"pm.process_idle_timeout", "pm.status_path", "pm.status_listen", "php_admin_value[error_log]", "php_value[error_log]",
	}
)

// derived is the pool at a shape and a place. Its logs are written as before, elsewhere.
func (f fpmConf) derived(s Shape, p Place) string {
	var out strings.Builder
	fmt.Fprintf(&out, "[global]\nerror_log = /dev/stderr\ndaemonize = no\npid = %s\n", p.file("php-fpm.pid"))
	for _, line := range f.global {
		if key, _ := fpmLine(line); !slices.Contains(fpmGlobalOwned, key) {
			out.WriteString(line + "\n")
		}
	}
	fmt.Fprintf(&out, "\n[%s]\n", f.pool)
	for _, line := range f.lines {
		key, _ := fpmLine(line)
		switch {
		case slices.Contains(fpmPoolOwned, key):
			continue
		case key == "access.log" || key == "slowlog":
			line = key + " = " + p.file(key)
		}
		out.WriteString(line + "\n")
	}
	fmt.Fprintf(&out, `listen = %s
listen.mode = 0666
pm = static
pm.max_children = %d
pm.status_path = %s
`, p.file("fpm.sock"), s.Workers, fpmStatusPath)
	return out.String()
}

// fpmStatusPath is for the front's own socket: from outside it is a page like any other.
const fpmStatusPath = "/advise-status"

// fpmFrontPath is answered by nginx, with as short a page as PHP's shortest.
const fpmFrontPath = "/advise-front"

// fpmFront is the configuration of the nginx before the pool.
func fpmFront(f fpmConf, root string, p Place) string {
	user := ""
	if u := f.setting("user"); u != "" {
		user = "user " + u + " " + f.setting("group") + ";\n"
	}
	var temporary strings.Builder
	for _, prefix := range nginxTemporary {
		fmt.Fprintf(&temporary, "    %s_temp_path %s;\n", prefix, p.file("front-"+prefix))
	}
	return user + fmt.Sprintf(`worker_processes 1;
daemon off;
pid %s;
error_log stderr;
events {
    worker_connections 4096;
}
http {
    access_log off;
    types_hash_max_size 2048;
%s    fastcgi_param QUERY_STRING $query_string;
    fastcgi_param REQUEST_METHOD $request_method;
    fastcgi_param CONTENT_TYPE $content_type;
    fastcgi_param CONTENT_LENGTH $content_length;
    fastcgi_param REQUEST_URI $request_uri;
    fastcgi_param DOCUMENT_URI $document_uri;
    fastcgi_param DOCUMENT_ROOT $document_root;
    fastcgi_param SERVER_PROTOCOL $server_protocol;
    fastcgi_param REQUEST_SCHEME $scheme;
    fastcgi_param GATEWAY_INTERFACE CGI/1.1;
    fastcgi_param SERVER_SOFTWARE nginx;
    fastcgi_param REMOTE_ADDR $remote_addr;
    fastcgi_param REMOTE_PORT $remote_port;
    fastcgi_param SERVER_ADDR $server_addr;
    fastcgi_param SERVER_PORT $server_port;
    fastcgi_param SERVER_NAME $server_name;
    fastcgi_param REDIRECT_STATUS 200;
    fastcgi_param SCRIPT_NAME $fastcgi_script_name;
    fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
    server {
        listen %s backlog=4096;
        root %q;
        index index.php index.html;
        location / {
            try_files $uri $uri/ /index.php$is_args$args;
        }
        location = %[5]s {
            return 404;
        }
        location = %[8]s {
            return 200 "ok\n";
        }
        location ~ \.php$ {
            try_files $uri =404;
            fastcgi_pass unix:%[6]s;
        }
    }
    server {
        listen unix:%[7]s;
        location / {
            rewrite ^ %[5]s break;
            fastcgi_pass unix:%[6]s;
        }
    }
}
`, p.file("front.pid"), temporary.String(), p.Address(), root, fpmStatusPath, p.file("fpm.sock"), p.file("status"), fpmFrontPath)
}
