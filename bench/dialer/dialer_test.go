// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDial(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := dial(t.Context(), address); err != nil {
		t.Error(err)
	}
	l.Close()
	over := errors.New("over")
	ctx, end := context.WithCancelCause(t.Context())
	end(over)
	if err := dial(ctx, address); !errors.Is(err, over) {
		t.Errorf("refused until it was ended: %v", err)
	}
	if err := dial(t.Context(), "localhost:1"); err == nil {
		t.Error("a name is no address")
	}
}
