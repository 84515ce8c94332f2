package reports

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"advise/targets/targetstest"
)

func pageOf(t *testing.T, fixture string) []byte {
	t.Helper()
	page, err := HTML(resultOf(t, fixture))
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func TestHTML(t *testing.T) {
	for _, name := range []string{"gain", "shapes", "confirmed", "memory", "objective", "objective_missed", "rate_of_shapes", "predicted", "held_out", "fewer_cores", "fewer_cores_refused", "nothing_worked", "hostile"} {
		page := bytes.Replace(pageOf(t, name), []byte(library), []byte("/* the chart library */"), 1)
		golden(t, "html/"+name+".html", page)
	}
}

func TestHTMLIsTheSameEachTime(t *testing.T) {
	if !bytes.Equal(pageOf(t, "gain"), pageOf(t, "gain")) {
		t.Error("two pages of one result differ")
	}
}

func TestHostileTextAddsNoMarkup(t *testing.T) {
	page := strings.Replace(string(pageOf(t, "hostile")), library, "", 1)
	if begin, end := strings.Count(page, "<script"), strings.Count(page, "</script"); begin != 5 || end != 5 {
		t.Errorf("%d scripts begin and %d end, want 5: three charts, the library, the drawing", begin, end)
	}
	if strings.Contains(page, "<img") {
		t.Error("an image came into the page")
	}
	if !strings.Contains(page, "&lt;/script&gt;&lt;script&gt;document.title=") {
		t.Error("the hostile text is not in the page at all")
	}
}

func TestPageHasNothingHidden(t *testing.T) {
	hidden := func(r rune) bool {
		return r != '\n' && r != '\t' && (!unicode.IsPrint(r) || r == unicode.ReplacementChar)
	}
	if page := string(pageOf(t, "hostile")); strings.ContainsFunc(page, hidden) {
		at := strings.IndexFunc(page, hidden)
		t.Errorf("%q is in the page", page[at:min(at+20, len(page))])
	}
}

// browse loads a page in a real browser behind a proxy, so that whatever the page asks for is seen. A
// browser that doesn't come up, or hangs while it does, is tried again.
func browse(t *testing.T, page []byte) (dom, console string, asked []string) {
	t.Helper()
	targetstest.Need(t, "chromium")
	for attempt := 1; ; attempt++ {
		dom, console, asked, err := browseOnce(t, page)
		if err == nil {
			return dom, console, asked
		}
		if attempt == 3 {
			t.Fatal(err)
		}
		t.Log(err)
	}
}

func browseOnce(t *testing.T, page []byte) (dom, console string, asked []string, err error) {
	t.Helper()
	var mu sync.Mutex
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		// The browser has hosts of its own to ask, others in each version. Those that the page asks for
		// are named in it.
		if bytes.Contains(page, []byte(hostname(r))) {
			asked = append(asked, r.Host)
		}
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer proxy.Close()

	dir := t.TempDir()
	file := filepath.Join(dir, "report.html")
	if err := os.WriteFile(file, page, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	var out, errs bytes.Buffer
	c := exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
		"--user-data-dir="+filepath.Join(dir, "profile"), "--enable-logging=stderr",
		"--proxy-server="+proxy.URL, "--proxy-bypass-list=<-loopback>", "--window-size=1200,3000",
		"--dump-dom", "file://"+file)
	c.Stdout, c.Stderr, c.WaitDelay = &out, &errs, 15*time.Second
	if err := c.Run(); err != nil {
		return "", "", nil, fmt.Errorf("chromium: %w\n%s", err, errs.String())
	}
	for line := range strings.Lines(errs.String()) {
		if strings.Contains(line, "CONSOLE") {
			console += line
		}
	}
	mu.Lock()
	defer mu.Unlock()
	return out.String(), console, append([]string{}, asked...), nil
}

// hostname is the host of a request to a proxy, without its port.
func hostname(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.Host); err == nil {
		return host
	}
	return r.Host
}

func TestPageInABrowser(t *testing.T) {
	for _, name := range []string{"memory", "hostile"} {
		t.Run(name, func(t *testing.T) {
			dom, console, asked := browse(t, pageOf(t, name))
			if console != "" {
				t.Errorf("the browser complains:\n%s", console)
			}
			if len(asked) != 0 {
				t.Errorf("the page asked for %v", asked)
			}
			for _, id := range []string{"throughput", "latency", "memory"} {
				_, chart, _ := strings.Cut(dom, `id="`+id+`"`)
				chart, _, _ = strings.Cut(chart, "</figure>")
				if paths := strings.Count(chart, "<path"); !strings.Contains(chart, "<svg") || paths < 20 {
					t.Errorf("%s: drawn with %d paths", id, paths)
				}
				for _, label := range []string{">workers</text>", ">usual 3</text>", ">run "} {
					if !strings.Contains(chart, label) {
						t.Errorf("%s: no %s", id, label)
					}
				}
			}
			dom = strings.Replace(dom, library, "", 1)
			if strings.Contains(dom, "<title>owned") || strings.Contains(dom, "<img") {
				t.Error("the hostile text took effect")
			}
		})
	}
}

// The test above is worth something only if it sees a page that is broken.
func TestBrowserSeesABrokenPage(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	page := fmt.Sprintf(`<!doctype html><title>x</title><img src="http://%s/x"><script>nothing.here()</script>`, l.Addr())
	_, console, asked := browse(t, []byte(page))
	if !strings.Contains(console, "nothing is not defined") {
		t.Errorf("an error of the page was not seen: %q", console)
	}
	if len(asked) == 0 {
		t.Error("a request of the page was not seen")
	}
}

func TestTextSaysWhenItCouldNotBeWritten(t *testing.T) {
	var w io.Writer = fullDisk{}
	if err := Text(w, resultOf(t, "gain"), TextOptions{}); err == nil {
		t.Error("a write that failed was not reported")
	}
}
