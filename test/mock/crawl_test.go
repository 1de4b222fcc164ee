// SPDX-License-Identifier: Apache-2.0

package mock

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// crawler is a client as plain as can be. It shares nothing with the daemon's,
// so that a mistake in one does not hide the same in the other.
type crawler struct {
	t      *testing.T
	base   string
	token  string
	leaves map[string]string // path below the version: body
	lists  map[string]string // path with a final slash: body
}

// plainClient asks no proxy and gives up before the test does.
func plainClient() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
}

// crawl gets everything that the mock lists below meta-data/, and what is never
// listed there.
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

// walk gets a directory and what is in it.
func (c *crawler) walk(dir string) {
	c.lists[dir] = c.get(dir)
	for _, entry := range strings.Split(strings.TrimSuffix(c.lists[dir], "\n"), "\n") {
		switch {
		case entry == "": // a directory with nothing in it
		case strings.HasSuffix(entry, "/"):
			c.walk(dir + entry)
		case !strings.Contains("\n"+c.lists[dir]+"\n", "\n"+entry+"/\n"): // not both x and x/
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

// do makes one request; key "" is no header.
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
