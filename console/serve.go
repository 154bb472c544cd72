package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Limits on what a client may take its time with. Answers have their own: see answer.
const (
	headerTime = 5 * time.Second
	readTime   = 30 * time.Second
	idleTime   = 2 * time.Minute
	headerSize = 16 << 10
	// profileTime lets a profile or trace of a minute and a half through the admin listener.
	profileTime = 2 * time.Minute
)

// Serve answers on l until ctx ends, then lets requests finish within ShutdownTime. It closes l. nil means that every
// request was finished.
func (c *Console) Serve(ctx context.Context, l net.Listener) error {
	return c.serve(ctx, l, c.handler, c.cfg.StallTimeout)
}

// ServeAdmin is Serve for the admin listener.
func (c *Console) ServeAdmin(ctx context.Context, l net.Listener) error {
	return c.serve(ctx, l, c.AdminHandler(), profileTime)
}

func (c *Console) serve(ctx context.Context, l net.Listener, h http.Handler, writeTime time.Duration) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime,
		IdleTimeout: idleTime, MaxHeaderBytes: headerSize, ErrorLog: slog.NewLogLogger(c.cfg.Log.Handler(), slog.LevelDebug)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve http on %s: %w", l.Addr(), errors.Join(err, server.Close()))
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.ShutdownTime)
	defer cancel()
	err := server.Shutdown(grace)
	if err != nil {
		err = fmt.Errorf("finish http on %s: %w", l.Addr(), errors.Join(err, server.Close()))
	}
	<-served // always http.ErrServerClosed by now
	return err
}
