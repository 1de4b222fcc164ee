// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/imds-ready/imds-ready/snapshot"
)

// A reader that reads as fast as it can during 300 writes always finds a complete file,
// because files are replaced instead of written to.
func TestReadersSeeCompleteFiles(t *testing.T) {
	const writes = 300
	d := open(t)
	// Each content repeats one byte and has a different length.
	content := func(i int) []byte {
		return bytes.Repeat([]byte{'a' + byte(i%26)}, 1+(i*7919)%(16<<10))
	}
	if _, err := d.Write(snapshot.MetaDataFile, File{Data: content(0)}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(d.path, snapshot.MetaDataFile)
	done := make(chan struct{})
	var readers sync.WaitGroup
	reads := make([]int, 4)
	for r := range reads {
		readers.Go(func() {
			for {
				data, err := os.ReadFile(path)
				if err != nil {
					t.Errorf("read %d: %v", reads[r], err)
					return
				}
				if n := bytes.Count(data, data[:min(1, len(data))]); len(data) == 0 || n != len(data) {
					t.Errorf("read %d: a mixed file of %d bytes", reads[r], len(data))
					return
				}
				reads[r]++
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := range writes {
		if _, err := d.Write(snapshot.MetaDataFile, File{Data: content(i)}); err != nil {
			t.Errorf("write %d: %v", i, err)
			break
		}
	}
	close(done)
	readers.Wait()
	for r, n := range reads {
		if n == 0 {
			t.Errorf("reader %d did not read anything", r)
		}
	}
}

// The crawl may publish while the goroutine of the gate writes the status.
func TestWritersTogether(t *testing.T) {
	d := open(t)
	snap, _ := build(instance(t))
	var writers sync.WaitGroup
	writers.Go(func() {
		for i := range 50 {
			if _, _, err := d.Publish(snap, []string{snapshot.Ready, snapshot.Degraded}[i%2], nil); err != nil {
				t.Error(err)
			}
		}
	})
	for w := range 4 {
		writers.Go(func() {
			for i := range 50 {
				if err := d.WriteStatus(snapshot.Status{State: snapshot.Waiting, BootID: "b", Version: fmt.Sprint(w, i)}); err != nil {
					t.Error(err)
				}
				if st, err := d.Status(); err != nil || st.BootID != "b" {
					t.Errorf("%+v %v", st, err)
				}
			}
		})
	}
	writers.Wait()
	if list := entries(t, d.path); list != allNames {
		t.Errorf("the directory has %s", list)
	}
}

// A reader always finds its key while a daemon keeps writing.
func TestOpenBesideTheWriter(t *testing.T) {
	d := open(t)
	snap, _ := build(instance(t))
	if _, _, err := d.Publish(snap, snapshot.Ready, nil); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteStatus(snapshot.Status{State: snapshot.Ready, BootID: "b", Generation: 1}); err != nil {
		t.Fatal(err)
	}
	var writer sync.WaitGroup
	done := make(chan struct{})
	writer.Go(func() {
		for {
			if _, _, err := d.Publish(snap, snapshot.Ready, nil); err != nil {
				t.Error(err)
			}
			if err := d.WriteStatus(snapshot.Status{State: snapshot.Ready, BootID: "b", Generation: 1}); err != nil {
				t.Error(err)
			}
			if err := os.Remove(filepath.Join(d.path, snapshot.IdentityFile)); err != nil { // so that it is written again
				t.Error(err)
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for range 300 {
		v, err := snapshot.Open(d.path, "b")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := v.Lookup("instance-id"); err != nil || got != "i-0abcdef1234567890" {
			t.Errorf("%v %v", got, err)
		}
	}
	close(done)
	writer.Wait()
}

// A reader neither needs nor holds the lock.
func TestReaderBesideTheDaemon(t *testing.T) {
	d := open(t)
	if err := d.WriteStatus(full()); err != nil {
		t.Fatal(err)
	}
	if st, err := snapshot.ReadStatus(d.path); err != nil || st.Version != "0.1.0" {
		t.Errorf("%+v %v", st, err)
	}
	d.Close()
	again, err := OpenDir(d.path)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}
