package console

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"

	"callhall/cdr"

	"github.com/danielgtaylor/huma/v2"
)

// Problem is every error answer (RFC 9457). Its sentences are fixed: what went wrong inside is in the log, under the
// same request id.
type Problem struct {
	Type      string  `json:"type" doc:"Where this kind of problem is explained, on this server."`
	Title     string  `json:"title"`
	Status    int     `json:"status"`
	Detail    string  `json:"detail"`
	RequestID string  `json:"request_id" doc:"Tell this to the operator."`
	Errors    []Fault `json:"errors,omitempty" doc:"What is wrong in the request, and where."`
}

// Fault is one thing that is wrong in a request. It does not repeat what was sent.
type Fault struct {
	Location string `json:"location,omitempty"`
	Message  string `json:"message"`
}

// Error is the fixed sentence.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is the HTTP status, for huma.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType says that JSON of this is a problem, for huma.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// kind is one kind of problem: the end of its Type, and its sentence.
type kind struct{ name, detail string }

// kinds are the problems there are, by status. page/problems.html explains each under its name.
var kinds = map[int]kind{
	http.StatusBadRequest:                   {"bad-request", "The request cannot be understood."},
	http.StatusUnauthorized:                 {"no-token", "A valid token is needed: Authorization: Bearer cht_…"},
	http.StatusForbidden:                    {"not-permitted", "This token's role does not permit that."},
	http.StatusNotFound:                     {"not-found", "There is no such thing in this city."},
	http.StatusMethodNotAllowed:             {"wrong-method", "This address does not take that method."},
	http.StatusConflict:                     {"conflict", "That cannot be done in the present state."},
	http.StatusGone:                         {"erased", "It has been erased, as the city's rules ask."},
	http.StatusRequestEntityTooLarge:        {"too-large", "The request is too large."},
	http.StatusUnsupportedMediaType:         {"wrong-type", "The body of the request must be JSON."},
	http.StatusUnprocessableEntity:          {"invalid", "Something in the request is not valid; errors says what."},
	http.StatusRequestedRangeNotSatisfiable: {"bad-range", "The recording has no such part; Content-Range says how long it is."},
	http.StatusTooManyRequests:              {"too-many", "This token makes too many requests; wait a little."},
	http.StatusInternalServerError:          {"internal", "Something went wrong here. The operator can find it by the request id."},
	http.StatusServiceUnavailable:           {"unavailable", "That is not available now; try again soon."},
}

// problem is the problem of a status in the answer to the request of ctx.
func problem(ctx context.Context, status int, faults ...Fault) *Problem {
	k, known := kinds[status]
	if !known && status < 500 {
		k = kinds[http.StatusBadRequest]
	} else if !known {
		k = kinds[http.StatusInternalServerError]
	}
	return &Problem{Type: "/problems#" + k.name, Title: http.StatusText(status), Status: status, Detail: k.detail,
		RequestID: requestID(ctx), Errors: faults}
}

// fail is where an error of the parts behind the console becomes an answer. What it says of the inside goes to the log.
func (c *Console) fail(ctx context.Context, doing string, err error) error {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	status := statusOf(err)
	if status >= 500 {
		c.cfg.Log.Error("a request failed", "request_id", requestID(ctx), "doing", doing, "err", err)
	}
	if status == http.StatusBadRequest {
		return problem(ctx, status, Fault{Location: "query.cursor", Message: "belongs to another list, or is damaged"})
	}
	return problem(ctx, status)
}

// statusOf is the one place where an error becomes a status.
func statusOf(err error) int {
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, cdr.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, ErrGone):
		return http.StatusGone
	case errors.Is(err, ErrConflict):
		return http.StatusConflict
	case errors.Is(err, ErrCursor), errors.Is(err, cdr.ErrCursor):
		return http.StatusBadRequest
	case errors.Is(err, cdr.ErrLimit):
		return http.StatusUnprocessableEntity
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// invalid is the answer to a request that has something wrong in one place.
func invalid(ctx context.Context, location, message string) error {
	return problem(ctx, http.StatusUnprocessableEntity, Fault{Location: location, Message: message})
}

// explain turns the errors that huma makes into problems like all others, without the values that were sent.
func (c *Console) explain(hc huma.Context, _ string, v any) (any, error) {
	model, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	if model.Status >= 500 {
		c.cfg.Log.Error("a request failed", "request_id", requestID(hc.Context()), "doing", hc.Operation().OperationID, "err", model)
		return problem(hc.Context(), model.Status), nil
	}
	var faults []Fault
	for _, e := range model.Errors {
		faults = append(faults, Fault{Location: e.Location, Message: e.Message})
	}
	return problem(hc.Context(), model.Status, faults...), nil
}

// writeProblem answers with a problem outside of huma.
func writeProblem(w http.ResponseWriter, r *http.Request, status int) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(problem(r.Context(), status)) // a reader who is gone needs no answer
}

// describeProblems says in the API's description that its error answers are Problems, which huma cannot know.
func describeProblems(api huma.API) {
	schema := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	content := map[string]*huma.MediaType{"application/problem+json": {Schema: schema}}
	for _, path := range api.OpenAPI().Paths {
		for _, op := range []*huma.Operation{path.Get, path.Post} {
			if op == nil {
				continue
			}
			for code := range op.Responses {
				if !strings.HasPrefix(code, "2") {
					delete(op.Responses, code)
				}
			}
			op.Responses["default"] = &huma.Response{Description: "A problem", Content: content}
		}
	}
}

//go:embed page/problems.html
var problemsPage []byte
