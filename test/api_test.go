package test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// token is an API token of that role in the city demo, made when it is first asked for.
func (s *server) token(role string) string { return s.tokenOf("demo", role, "") }

// tokenOf is a token of somebody with that role in that city; agent is who they are where the role is agent.
func (s *server) tokenOf(city, role, agent string) string {
	s.t.Helper()
	name := strings.TrimSuffix("test-"+city+"-"+role+"-"+agent, "-")
	if secret, ok := s.tokens[name]; ok {
		return secret
	}
	args := []string{"--config", "callhall.yaml", "--json", "user", "add", name, "--role", role, "--city", city}
	if agent != "" {
		args = append(args, "--agent", agent)
	}
	out, err := s.run(s.t.Context(), args...)
	must(s.t, err)
	var user struct{ Token string }
	must(s.t, json.Unmarshal([]byte(out), &user))
	if s.tokens == nil {
		s.tokens = map[string]string{}
	}
	s.tokens[name] = user.Token
	return user.Token
}

// get reads one path of the API.
func (s *server) get(token, path string, header ...string) (int, http.Header, []byte) {
	s.t.Helper()
	return s.ask("GET", token, path, "", header...)
}

// ask makes one request, again where the token has used up its rate.
func (s *server) ask(method, token, path, body string, header ...string) (code int, got http.Header, answer []byte) {
	s.t.Helper()
	within(s.t, 30*time.Second, func() error {
		req, err := http.NewRequestWithContext(s.t.Context(), method, s.http+path, strings.NewReader(body))
		must(s.t, err)
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		if body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		for i := 0; i+1 < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		must(s.t, err)
		defer resp.Body.Close()
		answer, err = io.ReadAll(resp.Body)
		must(s.t, err)
		if code, got = resp.StatusCode, resp.Header; code == http.StatusTooManyRequests {
			return errors.New("429")
		}
		return nil
	})
	return code, got, answer
}

// post asks for something and wants that status; into, if not nil, takes the answer.
func (s *server) post(token, path, body string, want int, into any) {
	s.t.Helper()
	code, _, answer := s.ask("POST", token, path, body)
	if code != want {
		s.t.Fatalf("POST %s: %d, want %d: %s", path, code, want, answer)
	}
	if into != nil {
		must(s.t, json.Unmarshal(answer, into))
	}
}

// route is one operation of the API as it describes itself, so that no test can forget a new one.
type route struct{ method, path string }

func (s *server) routes() (routes []route) {
	s.t.Helper()
	var api struct{ Paths map[string]map[string]any }
	_, _, text := s.get("", "/openapi.json")
	must(s.t, json.Unmarshal(text, &api))
	for path, methods := range api.Paths {
		for method := range methods {
			routes = append(routes, route{strings.ToUpper(method), path})
		}
	}
	if len(routes) < 60 {
		s.t.Fatalf("only %d routes are described", len(routes))
	}
	return routes
}
