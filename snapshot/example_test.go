// SPDX-License-Identifier: Apache-2.0

package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/internal/publish"
	"github.com/imds-ready/imds-ready/snapshot"
)

// daemon writes the files of the examples, as imds-ready run would.
func daemon() (dir string, remove func()) {
	tmp, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	dir = filepath.Join(tmp, "imds")
	d, err := publish.OpenDir(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()
	s, _ := publish.Build(publish.Collection{Leaves: map[string][]byte{
		"dynamic/instance-identity/document": []byte(`{"accountId": "123456789012", "instanceId": "i-0abc"}`),
		"meta-data/placement/region":         []byte("eu-west-1"),
		"meta-data/security-groups":          []byte("default\nweb"),
	}})
	files, _, err := d.Publish(s, snapshot.Ready, nil)
	if err == nil {
		err = d.WriteStatus(snapshot.Status{
			State: snapshot.Ready, BootID: snapshot.BootID(), Attempts: 5, Generation: 1, Files: files,
		})
	}
	if err != nil {
		log.Fatal(err)
	}
	return dir, func() { os.RemoveAll(tmp) }
}

// A service must not start before IMDS has answered in this boot.
func ExampleWait() {
	dir, remove := daemon() // a real program uses /run/imds
	defer remove()
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Minute)
	defer cancel()
	st, err := snapshot.Wait(ctx, dir, snapshot.BootID(), nil)
	switch {
	case err != nil:
		fmt.Println(err) // undecided when the time was up, or unreadable
	case st.State != snapshot.Ready:
		fmt.Println("no metadata:", st.State)
	default:
		fmt.Println("ready after", st.Attempts, "attempts")
	}
	// Output:
	// ready after 5 attempts
}

// Values are looked up by key, as imds-ready get does.
func ExampleOpen() {
	dir, remove := daemon()
	defer remove()
	v, err := snapshot.Open(dir, snapshot.BootID())
	if err != nil {
		log.Fatal(err)
	}
	for _, key := range []string{"placement/region", "identity/accountId", "security-groups", "placement/regoin"} {
		value, err := v.Lookup(key)
		if _, absent := errors.AsType[*snapshot.KeyError](err); absent {
			fmt.Println(err)
			continue
		}
		fmt.Println(value)
	}
	// Output:
	// eu-west-1
	// 123456789012
	// [default web]
	// no such key: "placement/regoin"
}

func ExampleValues_List() {
	dir, remove := daemon()
	defer remove()
	v, err := snapshot.Open(dir, snapshot.BootID())
	if err != nil {
		log.Fatal(err)
	}
	keys, err := v.List("")
	fmt.Println(strings.Join(keys, " "), err)
	// Output:
	// identity/ identity/accountId identity/instanceId placement/ placement/region security-groups <nil>
}

func ExampleReadStatus() {
	dir, remove := daemon()
	defer remove()
	st, err := snapshot.ReadStatus(dir)
	if err == nil {
		err = st.CheckBoot(snapshot.BootID())
	}
	fmt.Println(st.State, err)
	// Output:
	// ready <nil>
}
