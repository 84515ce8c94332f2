package mask

import "testing"

func TestPath(t *testing.T) {
	for path, want := range map[string]string{
		"/":                     "/",
		"/s?q=tea&page=2":       "/s?q=tea&page=2",
		"/s?q=tea&token=abc":    "/s?q=tea&token=***",
		"/s?q=Hunter2Hunter2":   "/s?q=***",
		"/s?aB3dE5fG7hJ9":       "/s?***",
		"/s?flag&empty=":        "/s?flag&empty=",
		"/s?a=b=c":              "/s?a=***",
		"/s?token=***&q=coffee": "/s?token=***&q=coffee",
	} {
		got, hidden := Path(path)
		if got != want || hidden != (want != path || path == "/s?token=***&q=coffee") {
			t.Errorf("%s: got %s, hidden %v", path, got, hidden)
		}
	}
}
