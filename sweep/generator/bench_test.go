package generator

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// nullServer answers as cheaply as can be: the generator is what is measured.
func nullServer(b *testing.B) (url string) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nhello, world")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				request := make([]byte, 0, 4096)
				for {
					n, err := c.Read(request[len(request):cap(request)])
					if err != nil {
						return
					}
					request = request[:len(request)+n]
					if !bytes.HasSuffix(request, []byte("\r\n\r\n")) {
						continue
					}
					request = request[:0]
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// BenchmarkMillion sends a million requests from a child on one core. Its peak memory must
// stay below 60 MB. Run it with -benchtime 1x.
func BenchmarkMillion(b *testing.B) {
	url := nullServer(b)
	for b.Loop() {
		a := testLoop(url)
		a.Connections, a.CPUs = 32, []int{0}
		a.WarmupRequests, a.WarmupLimit, a.Window = 900_000, 10*time.Minute, 2*time.Second
		s, err := Run(context.Background(), a, nil)
		if err != nil {
			b.Fatal(err)
		}
		report(b, s)
		if s.OKTotal < 900_000 || s.FailedTotal != 0 {
			b.Errorf("ok %d, failed %d", s.OKTotal, s.FailedTotal)
		}
		if s.MaxRSSBytes > 60e6 {
			b.Errorf("peak memory is %d bytes", s.MaxRSSBytes)
		}
	}
}

// BenchmarkBacklog holds as many requests under way as the fuse lets through.
func BenchmarkBacklog(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})}
	defer server.Close()
	go func() { _ = server.Serve(l) }()
	for b.Loop() {
		a := testAttack("http://" + l.Addr().String())
		a.Connections, a.Rate, a.Timeout, a.Window = 64, 2000, time.Minute, time.Minute
		s, err := Run(context.Background(), a, nil)
		if err != nil {
			b.Fatal(err)
		}
		report(b, s)
		if s.Sustained {
			b.Error("the fuse has not blown")
		}
	}
}

func report(b *testing.B, s *Summary) {
	b.Helper()
	b.ReportMetric(s.ThroughputRPS, "req/s")
	if s.CPUSeconds > 0 {
		b.ReportMetric(s.ThroughputRPS*s.WindowSeconds/s.CPUSeconds, "req/cpu-s")
	}
	b.ReportMetric(float64(s.MaxRSSBytes)/1e6, "peak-MB")
}
