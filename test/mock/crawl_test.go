// SPDX-License-Identifier: Apache-2.0

package mock

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// crawler is a simple client. It shares no code with the daemon, so that a mistake
// in the daemon is not repeated here.
type crawler struct {
	t      *testing.T
	base   string
	token  string
	leaves map[string]string // the body by path below the version
	lists  map[string]string // the body by path with a final slash
}

// plainClient does not use a proxy, and its timeout is shorter than that of the test.
func plainClient() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
}

// crawl gets all paths that the mock lists below meta-data/, and the paths outside
// meta-data/ that are not listed.
func crawl(t *testing.T, base string) *crawler {
	c := &crawler{t: t, base: base, leaves: map[string]string{}, lists: map[string]string{}}
	c.token = c.must(c.do(http.MethodPut, "api/token", "X-aws-ec2-metadata-token-ttl-seconds", "21600"))
	c.walk("meta-data/")
	for _, path := range []string{
		"dynamic/instance-identity/document", "dynamic/instance-identity/pkcs7",
		"dynamic/instance-identity/signature", "user-data",
	} {
		c.leaves[path] = c.get(path)
	}
	return c
}

// walk gets a directory and its contents.
func (c *crawler) walk(dir string) {
	c.lists[dir] = c.get(dir)
	for _, entry := range strings.Split(strings.TrimSuffix(c.lists[dir], "\n"), "\n") {
		switch {
		case entry == "": // the directory is empty
		case strings.HasSuffix(entry, "/"):
			c.walk(dir + entry)
		case !strings.Contains("\n"+c.lists[dir]+"\n", "\n"+entry+"/\n"): // skip x if x/ is listed too
			c.leaves[dir+entry] = c.get(dir + entry)
		}
	}
}

func (c *crawler) get(path string) string {
	c.t.Helper()
	return c.must(c.do(http.MethodGet, path, "X-aws-ec2-metadata-token", c.token))
}

func (c *crawler) must(status int, body string) string {
	c.t.Helper()
	if status != http.StatusOK {
		c.t.Fatalf("the mock answers %d: %s", status, body)
	}
	return body
}

// do makes one request. If key is empty, no header is added.
func (c *crawler) do(method, path, key, value string) (status int, body string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+"/latest/"+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set(key, value)
	}
	res, err := plainClient().Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}
