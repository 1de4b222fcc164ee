// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
)

// mode is one hostile server.
type mode struct {
	name    string
	exits   []int    // the documented exit codes of the daemon against this server
	answers []answer // the answers in consecutive runs in one directory
}

// The largest bodies that the daemon reads.
const (
	maxBody     = 256 << 10
	maxIdentity = 64 << 10
)

// names returns n lines with different short names, each with the suffix.
func names(n int, suffix string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%c%c%c%s\n", 'a'+i/676%26, 'a'+i/26%26, 'a'+i%26, numbered(i/17576)+suffix)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// numbered returns i, or "" for 0.
func numbered(i int) string {
	if i == 0 {
		return ""
	}
	return fmt.Sprint(i)
}

// cut returns the first complete lines of s, at most maxBody bytes.
func cut(s string) string {
	if len(s) <= maxBody {
		return s
	}
	return s[:strings.LastIndexByte(s[:maxBody], '\n')]
}

// below answers by get below meta-data/, and with an ordinary identity document.
func below(get func(path string) (status int, body string)) answer {
	return func(path string) (int, string, map[string]string) {
		if path == identityPath {
			return 0, document, nil
		}
		if !strings.HasPrefix(path, "meta-data/") {
			return http.StatusNotFound, "", nil
		}
		status, body := get(path)
		return status, body, nil
	}
}

// listing answers with the entries at meta-data/, and with the body for every path below it.
func listing(entries, body string) answer {
	return below(func(path string) (int, string) {
		if path == "meta-data/" {
			return 0, entries
		}
		return 0, body
	})
}

// leaves answers with a tree of these leaves and the listings that lead to them.
func leaves(identity string, bodies map[string]string) answer {
	tree := map[string]string{}
	listed := map[string]bool{}
	for path, body := range bodies {
		tree[path] = body
		for {
			i := strings.LastIndexByte(strings.TrimSuffix(path, "/"), '/')
			dir, name := path[:i+1], path[i+1:]
			if !listed[path] {
				listed[path] = true
				tree[dir] += name + "\n"
			}
			if dir == "meta-data/" || i < 0 {
				break
			}
			path = dir
		}
	}
	tree["user-data"] = strings.Repeat("\x00\xff", maxBody/2)
	return ordinary(identity, tree)
}

// heavyJSON returns documents, most of them of about the given size, that need much memory or
// become much longer when they are encoded.
func heavyJSON(size int) map[string]string {
	fill := func(open, each, end string) string {
		n := (size - len(open) - len(end)) / len(each)
		return open + strings.Repeat(each, n) + end
	}
	var keys strings.Builder
	for i := 0; keys.Len() < size-40; i++ {
		fmt.Fprintf(&keys, `"%x":0,`, i)
	}
	return map[string]string{
		"small numbers":    fill("[", "0,", "0]"),
		"small keys":       "{" + keys.String() + `"instanceId":"i-1"}`,
		"empty arrays":     fill("[", "[],", "[]]"),
		"empty objects":    fill("[", "{},", "{}]"),
		"nested arrays":    strings.Repeat("[", size/2) + strings.Repeat("]", size/2),
		"nested objects":   strings.Repeat(`{"a":`, size/6) + "0" + strings.Repeat("}", size/6),
		"16 levels":        "[" + strings.TrimSuffix(strings.Repeat(strings.Repeat("[", 15)+strings.Repeat("]", 15)+",", size/31), ",") + "]",
		"open arrays":      strings.Repeat("[", size),
		"one long number":  strings.Repeat("9", size),
		"one huge number":  "1e999999999",
		"escapes":          fill(`{"instanceId":"i-1","a":"`, `\u0000`, `"}`),
		"line separators":  fill(`{"instanceId":"i-1","a":"`, "\u2028", `"}`),
		"quotes":           fill(`{"instanceId":"i-1","a":"`, `\"`, `"}`),
		"one key twice":    fill(`{"instanceId":"i-1",`, `"a":0,`, `"a":1}`),
		"half a surrogate": `{"instanceId":"i-1","a":"\ud800","\udfff":"\udbff\udbff"}`,
		"byte order mark":  "\ufeff{}",
		"trailing text":    document + "x",
		"trailing NUL":     document + "\x00",
	}
}

// modes returns all hostile servers.
func modes() []mode {
	ready, either := []int{0}, []int{0, 75, 76}
	short := cut(names(60_000, ""))
	all := []mode{
		{"16 listings of 256 KiB", ready, []answer{below(func(path string) (int, string) {
			switch {
			case path == "meta-data/":
				return 0, "d00/\nd01/\nd02/\nd03/\nd04/\nd05/\nd06/\nd07/\nd08/\nd09/\nd10/\nd11/\nd12/\nd13/\nd14/\nd15/"
			case strings.HasSuffix(path, "/"):
				return 0, short
			}
			return 0, "x"
		})}},
		{"nested names of 250 quotes, 4000 failing entries", ready, []answer{nested(strings.Repeat(`"`, 250), 9, names(4000, ""), http.StatusServiceUnavailable)}},
		{"nested names of 250 bytes of line separators", ready, []answer{nested(strings.Repeat("\u2028", 83), 9, names(4000, ""), http.StatusNotFound)}},
		{"4000 failing names of 255 quotes and backslashes", ready, []answer{longNames(`"\`)}},
		{"a host name of 200,000 letters", ready, []answer{leaves(document, map[string]string{
			"meta-data/local-hostname": strings.Repeat("a", 200_000), "meta-data/instance-id": "i-0123456789abcdef0",
		})}},
		{"an infinite tree", ready, []answer{below(func(path string) (int, string) {
			if strings.HasSuffix(path, "/") {
				return 0, "a/\nb/\nc/\nx\ny"
			}
			return 0, "x"
		})}},
		{"an infinite tree of long names", ready, []answer{nested(strings.Repeat("d", 254), 99, "", 0)}},
		{"4096 leaves of 1 KiB", ready, []answer{listing(names(4096, ""), strings.Repeat("v", 1<<10))}},
		{"4096 leaves of 256 KiB", ready, []answer{listing(names(4096, ""), strings.Repeat("v", maxBody))}},
		{"4096 leaves of quotes", ready, []answer{listing(names(4096, ""), strings.Repeat("\"\x01", 512))}},
		{"4096 leaves, half of which fail", ready, []answer{below(func(path string) (int, string) {
			switch {
			case path == "meta-data/":
				return 0, names(4096, "")
			case path[len(path)-1]%2 == 0:
				return http.StatusServiceUnavailable, ""
			}
			return 0, "v"
		})}},
		{"4096 leaves that do not exist", ready, []answer{below(func(path string) (int, string) {
			if path == "meta-data/" {
				return 0, names(4096, "")
			}
			return http.StatusNotFound, ""
		})}},
		{"4096 empty directories", ready, []answer{below(func(path string) (int, string) {
			if path == "meta-data/" {
				return 0, names(4096, "/")
			}
			return 0, ""
		})}},
		{"1000 network interfaces", ready, []answer{below(func(path string) (int, string) {
			switch path {
			case "meta-data/":
				return 0, "network/"
			case "meta-data/network/":
				return 0, "interfaces/"
			case "meta-data/network/interfaces/":
				return 0, "macs/"
			case "meta-data/network/interfaces/macs/":
				return 0, names(1000, "/")
			}
			if strings.HasSuffix(path, "/") {
				return 0, "device-number\nlocal-ipv4s\nvpc-ipv4-cidr-blocks"
			}
			return 0, strings.Repeat("-1\n", 100)
		})}},
		{"CRLF everywhere", ready, []answer{leaves(document, map[string]string{
			"meta-data/instance-id\r": "i-1\r\n", "meta-data/ami-id\r": "\r\n\r\n", "meta-data/placement/\r": "", "meta-data/tags/instance/Name": "a\r\nb\r",
			"meta-data/security-groups": "a\r\nb\r\n\r\n",
		})}},
		{"NUL everywhere", either, []answer{listing("a\x00\n\x00\nb\x00/\n\x00/", "\x00")}},
		{"NUL in values", ready, []answer{listing("instance-id\nlocal-hostname\nmac\nsecurity-groups", "a\x00b\nc\x00")}},
		{"bidirectional and invisible names", ready, []answer{listing("\u202egnp.exe\nx\u2066y\n\u200b\n\ufeff\n\u00ad\nA\u030a\n\U000e0001\nev\u0456l", "\u202e\u2067reversed")}},
		{"not UTF-8", ready, []answer{listing("\xff\xfe\na\xc0\xaf\nok\n\xed\xa0\x80", "\xff\xfe\xfd")}},
		{"escape sequences", ready, []answer{listing("\x1b[2J\x1b]0;x\x07\nok\ninstance-id", "\x1b[31m\x1b]52;c;eA==\x07")}},
		{"names that lead out of the tree", ready, []answer{listing("..\n../\n../../api/token\n/etc/passwd\n//\n.\n./\na/../b\n%2e%2e\n%2e%2e%2f\n..%2f\nok\n..;/\n\\..\\..\n?x\n#y\nhttp://127.0.0.1:1/", "x")}},
		{"only names that are rejected", either, []answer{listing(strings.Repeat("../\n", maxBody/4), "x")}},
		{"one name, 60,000 times", ready, []answer{listing(cut(strings.Repeat("abc\n", 70_000)), "x")}},
		{"only line ends", either, []answer{listing(strings.Repeat("\r\n", maxBody/2), "x")}},
		{"one name of 256 KiB", either, []answer{listing(strings.Repeat("n", maxBody), "x")}},
		{"a listing over 256 KiB", ready, []answer{listing(names(90_000, ""), "x")}},
		{"a listing that changes with each request", ready, []answer{below(func(path string) (int, string) {
			if strings.HasSuffix(path, "/") {
				return 0, names(rand.IntN(40), "") + "\n" + names(rand.IntN(5), "/")
			}
			return [...]int{0, 0, http.StatusNotFound, http.StatusInternalServerError}[rand.IntN(4)], fmt.Sprint(rand.Int())
		})}},
		{"a directory that becomes a leaf, and back", ready, []answer{
			leaves(document, map[string]string{"meta-data/placement/region": "a", "meta-data/tags/instance/Name": "n", "meta-data/x/y/z": "1"}),
			leaves(document, map[string]string{"meta-data/placement": "b", "meta-data/tags": "n", "meta-data/x/y": "2"}),
			leaves(document, map[string]string{"meta-data/placement/region/c/d": "c", "meta-data/tags/instance/Name/x": "n", "meta-data/x": "3"}),
		}},
		{"a leaf and a directory at once", ready, []answer{below(func(path string) (int, string) {
			if strings.Count(path, "/") < 4 && strings.HasSuffix(path, "/") {
				return 0, "x\nx/\ntags\ntags/\ninstance\ninstance/\niam\niam/\ninfo\ninfo/"
			}
			return 0, "{}"
		})}},
		{"a tag named like a directory", ready, []answer{below(func(path string) (int, string) {
			switch path {
			case "meta-data/":
				return 0, "tags/"
			case "meta-data/tags/":
				return 0, "instance/"
			case "meta-data/tags/instance/":
				return 0, "Name\nName/\na/b\na/\n..\n/\nRole/\n=\n\"\n"
			}
			if strings.HasSuffix(path, "/") {
				return 0, "x\ny/"
			}
			return 0, "v"
		})}},
		{"public keys with any names", ready, []answer{below(func(path string) (int, string) {
			switch {
			case path == "meta-data/":
				return 0, "public-keys/"
			case path == "meta-data/public-keys/":
				return 0, "0=../../x\n0=b\n=\n1=\n2\n=3\n4=a=b\n5=" + strings.Repeat("k", 240) + "\n\u0666=x"
			case strings.HasSuffix(path, "/"):
				return 0, "openssh-key\n.."
			}
			return 0, "ssh-rsa AAAA"
		})}},
		{"variables for a shell", ready, []answer{leaves(`{"accountId":"$(id)","instanceId":"i-1","region":"a\nLD_PRELOAD=/tmp/x.so","availabilityZone":"-x","imageId":"'\"\\"}`, map[string]string{
			"meta-data/local-hostname": "x\nLD_PRELOAD=/tmp/x.so", "meta-data/local-ipv4": "`id`", "meta-data/public-ipv4": "$IFS", "meta-data/mac": "#", "meta-data/ipv6": ";id",
			"meta-data/ami-id": strings.Repeat("a", 300), "meta-data/instance-type": "--help",
		})}},
		{"keys that resemble each other", ready, []answer{listing(names(4000, strings.Repeat("placement", 6)), "x")}},
		{"Retry-After of a century", ready, []answer{withHeaders(below(func(path string) (int, string) {
			if path == "meta-data/" {
				return 0, names(2000, "")
			}
			return http.StatusTooManyRequests, ""
		}), map[string]string{"Retry-After": strings.Repeat("9", 300)})}},
		{"Retry-After in the past", ready, []answer{withHeaders(below(func(path string) (int, string) {
			if path == "meta-data/" {
				return 0, names(500, "")
			}
			return http.StatusServiceUnavailable, ""
		}), map[string]string{"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"})}},
		{"12 KiB of headers in each answer", ready, []answer{withHeaders(listing(names(1000, ""), "x"), map[string]string{"X-Padding": strings.Repeat("h", 12<<10)})}},
	}
	for name, text := range heavyJSON(maxBody) {
		all = append(all, mode{"documents of JSON: " + name, ready, []answer{leaves(document, map[string]string{
			"meta-data/iam/info": text, "meta-data/spot/instance-action": text, "meta-data/identity-credentials/ec2/info": text,
			"meta-data/events/maintenance/scheduled": text, "meta-data/events/maintenance/history": text, "meta-data/events/recommendations/rebalance": text,
			"meta-data/events/maintenance/more": text, "meta-data/events/maintenance/most": text,
		})}})
	}
	for name, text := range heavyJSON(maxIdentity) {
		all = append(all, mode{"an identity document of JSON: " + name, either, []answer{leaves(text, map[string]string{"meta-data/ami-id": "ami-1"})}})
	}
	return all
}

// nested answers with nested directories of the same name. The innermost one contains the
// entries, which are answered with the status.
func nested(name string, depth int, entries string, status int) answer {
	return below(func(path string) (int, string) {
		switch {
		case !strings.HasSuffix(path, "/"):
			return status, "x"
		case strings.Count(path, "/") < depth:
			return 0, name + "/"
		}
		return 0, entries
	})
}

// longNames answers with 1000 names of 255 bytes in each of 8 directories. All of them fail.
func longNames(of string) answer {
	var list strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&list, "%s%03d\n", strings.Repeat(of, 126), i)
	}
	return below(func(path string) (int, string) {
		switch {
		case path == "meta-data/":
			return 0, "a/\nb/\nc/\nd/\ne/\nf/\ng/\nh/"
		case strings.HasSuffix(path, "/"):
			return 0, list.String()
		}
		return http.StatusInternalServerError, ""
	})
}

// withHeaders adds headers to every answer except the identity document.
func withHeaders(a answer, headers map[string]string) answer {
	return func(path string) (int, string, map[string]string) {
		status, body, _ := a(path)
		if path == identityPath {
			return status, body, nil
		}
		return status, body, headers
	}
}
