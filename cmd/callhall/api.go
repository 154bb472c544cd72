package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// access is how a verb reaches a running server: the flags that records and ledger share.
type access struct {
	URL       string `default:"http://127.0.0.1:8311" env:"CALLHALL_URL" help:"Address of the server."`
	TokenFile string `placeholder:"FILE" env:"CALLHALL_TOKEN_FILE" help:"File with the token to show. Default: the one in the data directory that serve wrote for this role."`
}

// answerTime is how long a server may take to begin its answer.
const answerTime = 30 * time.Second

// maxAnswer bounds an answer that is read whole. Pages of 200 records are far smaller.
const maxAnswer = 32 << 20

// api is a client of the server's HTTP API.
type api struct {
	base  *url.URL
	token string
	http  *http.Client
}

// dial prepares a client that shows the token of role. It sends nothing yet.
func (a access) dial(term *terminal, role string) (*api, error) {
	base, err := url.Parse(strings.TrimSuffix(a.URL, "/"))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, badUsage{fmt.Errorf("--url: %q is not the address of a server, such as https://311.example.gov", a.URL)}
	}
	file := a.TokenFile
	if file == "" {
		file = filepath.Join(dataDir(term), "tokens", role)
	}
	token, err := SecretFile(file).Read()
	if err != nil {
		return nil, fmt.Errorf("read the token: %w; give one with --token-file (callhall user add NAME --role %s makes one)", err, role)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = answerTime
	return &api{base: base, token: token, http: &http.Client{Transport: transport, CheckRedirect: stay}}, nil
}

// stay refuses redirects: a token is shown to the server it was meant for, and to no other.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// dataDir is the data directory of the configuration in force, also when that has faults in other places.
func dataDir(term *terminal) string {
	cfg, _ := Load(term.Config, term.Env)
	return string(cfg.DataDir)
}

// problem is an error answer (RFC 9457).
type problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	ID     string `json:"request_id"`
	Errors []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`
}

// Error is the problem as one sentence.
func (p problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	var parts []string
	for _, e := range p.Errors {
		parts = append(parts, strings.TrimSpace(e.Location+" "+e.Message))
	}
	if len(parts) > 0 {
		text += " (" + strings.Join(parts, "; ") + ")"
	}
	if p.ID != "" {
		text += " [request " + plain(p.ID) + "]"
	}
	return fmt.Sprintf("the server answered %d: %s", p.Status, text)
}

// get asks for path under /api/v1. The caller closes the answer's body. Any status but 200 is an error.
func (c *api) get(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	target := c.base.JoinPath("api", "v1", path)
	target.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", path, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	answer, err := c.patiently(req)
	if err != nil {
		return nil, fmt.Errorf("no answer from %s; is callhall serve running there? %w", c.base, cause(err))
	}
	if answer.StatusCode != http.StatusOK {
		defer answer.Body.Close()
		return nil, readProblem(answer)
	}
	return answer, nil
}

// patience is how often a request is made again when the server asks for time, as it does of long lists.
const patience = 5

// patiently sends req, and again after the time that a 429 asks for (RFC 6585 §4). One that asks for none is an answer: a
// cap on numbers was reached, and each try is an alarm.
func (c *api) patiently(req *http.Request) (*http.Response, error) {
	for try := 1; ; try++ {
		answer, err := c.http.Do(req)
		if err != nil || answer.StatusCode != http.StatusTooManyRequests || answer.Header.Get("Retry-After") == "" || try == patience {
			return answer, err
		}
		answer.Body.Close()
		select {
		case <-time.After(pause(answer.Header.Get("Retry-After"))):
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
		if req.GetBody != nil { // the first try has read it
			if req.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// pause reads a Retry-After in seconds; a second where there is none, a minute at the most.
func pause(retryAfter string) time.Duration {
	seconds, err := strconv.Atoi(retryAfter)
	if err != nil || seconds < 0 {
		seconds = 1
	}
	return min(time.Duration(seconds)*time.Second, time.Minute)
}

// cause is err without the URL that net/http puts before it.
func cause(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// readProblem makes an error of an answer that is none of the success ones.
func readProblem(answer *http.Response) error {
	p := problem{Status: answer.StatusCode, Title: http.StatusText(answer.StatusCode)}
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if kind == "application/problem+json" {
		var told problem
		if json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&told) == nil {
			told.Status = answer.StatusCode
			p = told
		}
	}
	if answer.StatusCode == http.StatusUnauthorized && p.Detail == "" {
		p.Detail = "this token is not known or has expired"
	}
	return p
}

// getJSON asks for path and decodes the answer into v.
func (c *api) getJSON(ctx context.Context, path string, query url.Values, v any) error {
	answer, err := c.get(ctx, path, query)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(v); err != nil {
		return fmt.Errorf("read the answer to %s: %w", path, err)
	}
	return nil
}

// copyTo asks for path and writes the answer's body to w. It returns how many bytes there were.
func (c *api) copyTo(ctx context.Context, w io.Writer, path string, query url.Values) (int64, error) {
	answer, err := c.get(ctx, path, query)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	n, err := io.Copy(w, answer.Body)
	if err != nil {
		return n, fmt.Errorf("read the answer to %s after %d bytes: %w", path, n, err)
	}
	return n, nil
}

// copyToFile asks for path and keeps the answer's body in a new file that only its owner can read. "-" is standard
// output. An answer that breaks off leaves no file.
func (c *api) copyToFile(ctx context.Context, term *terminal, file, path string, query url.Values) error {
	if file == "-" || file == "" {
		_, err := c.copyTo(ctx, term.Out, path, query)
		return err
	}
	answer, err := c.get(ctx, path, query)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("keep the answer: %w", err)
	}
	n, err := io.Copy(f, answer.Body)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("keep the answer in %s: %w", file, err), os.Remove(file))
	}
	fmt.Fprintf(term.Err, "%s: %d bytes\n", file, n)
	return nil
}
