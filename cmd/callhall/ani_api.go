package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
)

// aniAccess is how the verbs of the privacy office reach the server: as records and ledger do, in one of several roles.
type aniAccess struct {
	access
	As string `placeholder:"ROLE" enum:",agent,supervisor,privacy,records,operator" default:"" help:"Show the token that a development server wrote for this role, instead of the verb's own."`
}

// aniRole is the role whose token most of these verbs show when none is given.
const aniRole = "privacy"

// open prepares a client in the role that was asked for, or in the usual one.
func (o aniAccess) open(term *terminal, usual string) (*api, error) {
	if o.As != "" {
		usual = o.As
	}
	return o.dial(term, usual)
}

// send makes a request that changes something and returns its answer. The server finds one that comes twice by its key.
// The caller closes the answer's body. Any status but 200, 201, 202 and 204 is an error; none of them quotes the body.
func (c *api) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	req, err := c.request(ctx, method, path, body)
	if err != nil {
		return nil, fmt.Errorf("prepare the request to %s: %w", path, err)
	}
	answer, err := c.patiently(req)
	if err != nil {
		return nil, fmt.Errorf("no answer from %s; is callhall serve running there? %w", c.base, cause(err))
	}
	switch answer.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent:
		return answer, nil
	}
	defer answer.Body.Close()
	return nil, readProblem(answer)
}

func (c *api) request(ctx context.Context, method, path string, body any) (*http.Request, error) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base.JoinPath("api", "v1", path).String(), bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Idempotency-Key", rand.Text())
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// sendJSON makes a request that changes something and returns its answer, a JSON object.
func (c *api) sendJSON(ctx context.Context, method, path string, body any) (json.RawMessage, error) {
	answer, err := c.send(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var raw json.RawMessage
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&raw); err != nil {
		return nil, fmt.Errorf("read the answer to %s: %w", path, err)
	}
	return raw, nil
}

// sealed fails where what is sent and answered could be read on its way: a number goes over TLS or stays on this machine.
func (c *api) sealed() error {
	if c.base.Scheme == "https" || isLoopback(c.base) {
		return nil
	}
	return badUsage{fmt.Errorf("--url: %s is not encrypted, and a caller's number is not sent over it; use https", c.base)}
}

func isLoopback(u *url.URL) bool {
	if u.Hostname() == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err == nil && addr.Unmap().IsLoopback()
}
