package console

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"callhall/ani"
	"callhall/call"
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

// insecure is the problem of a request about a number that came, or would be answered, in the clear.
var insecure = kind{"insecure", "Numbers are asked for and answered only over TLS or from this machine itself. Nothing was done."}

// frozenLedger is the problem of what a ledger that takes no entries cannot do.
var frozenLedger = kind{"frozen", "This city's ledger is frozen: it lacks or contradicts what a checkpoint covers, or is damaged. " +
	"Nothing can be signed with it. Find out why; then callhall ledger succeed is the way on."}

// capReached is the problem of a cap on the numbers that people are shown, which is no limit of a token's requests.
var capReached = kind{"cap", "The cap of revealed numbers is reached: as many were revealed as the city lets. The privacy officer has been told."}

// problem is the problem of a status in the answer to the request of ctx.
func problem(ctx context.Context, status int, faults ...Fault) *Problem {
	k, known := kinds[status]
	if !known && status < 500 {
		k = kinds[http.StatusBadRequest]
	} else if !known {
		k = kinds[http.StatusInternalServerError]
	}
	return k.problem(ctx, status, faults...)
}

func (k kind) problem(ctx context.Context, status int, faults ...Fault) *Problem {
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
	if errors.Is(err, ErrFrozen) {
		return frozenLedger.problem(ctx, status)
	}
	return problem(ctx, status)
}

// statuses say as what each error is answered. The first that fits counts.
var statuses = []struct {
	err    error
	status int
}{
	{ErrFrozen, http.StatusServiceUnavailable}, {ErrUnavailable, http.StatusServiceUnavailable},
	{ErrNotFound, http.StatusNotFound}, {cdr.ErrNotFound, http.StatusNotFound}, {ani.ErrNotFound, http.StatusNotFound},
	{ani.ErrHandle, http.StatusNotFound},
	{call.ErrUnknownCall, http.StatusNotFound}, {call.ErrNotYours, http.StatusNotFound}, // another's call is not theirs to know of
	{call.ErrUnknownQueue, http.StatusConflict}, // that of the call is no more
	{ErrGone, http.StatusGone},
	{ErrConflict, http.StatusConflict}, {ani.ErrNotApproved, http.StatusConflict}, {ani.ErrSecondPerson, http.StatusConflict}, {ani.ErrState, http.StatusConflict},
	{ani.ErrConflict, http.StatusConflict}, {ani.ErrTooSoon, http.StatusConflict}, {ani.ErrSpooled, http.StatusConflict}, {call.ErrNotTalking, http.StatusConflict}, {call.ErrBusy, http.StatusConflict},
	{call.ErrNoTransfer, http.StatusConflict},
	{ani.ErrNotPermitted, http.StatusForbidden},
	{ErrCursor, http.StatusBadRequest}, {cdr.ErrCursor, http.StatusBadRequest},
	{cdr.ErrLimit, http.StatusUnprocessableEntity}, {ErrRefused, http.StatusUnprocessableEntity}, {ani.ErrReused, http.StatusUnprocessableEntity},
	{ani.ErrIncomplete, http.StatusUnprocessableEntity}, {ani.ErrCase, http.StatusUnprocessableEntity},
	{ani.ErrNotNumber, http.StatusUnprocessableEntity}, {call.ErrUnknownPartner, http.StatusUnprocessableEntity},
	{ani.ErrTooMany, http.StatusTooManyRequests},
	{call.ErrUnavailable, http.StatusServiceUnavailable}, {context.DeadlineExceeded, http.StatusServiceUnavailable},
	{context.Canceled, http.StatusServiceUnavailable},
}

// statusOf is the one place where an error becomes a status.
func statusOf(err error) int {
	i := slices.IndexFunc(statuses, func(s struct {
		err    error
		status int
	}) bool {
		return errors.Is(err, s.err)
	})
	if i < 0 {
		return http.StatusInternalServerError
	}
	return statuses[i].status
}

// faults say more of an error than its kind of problem does, where somebody who asks can do something about it.
var faults = []struct {
	err   error
	fault Fault
}{
	{ani.ErrNotPermitted, Fault{Message: "it is not for this person, or not as it was asked"}},
	{ani.ErrNotApproved, Fault{Message: "not approved yet: another person must do that first"}},
	{ani.ErrSecondPerson, Fault{Message: "another person than the one who began it must do this"}},
	{ani.ErrState, Fault{Message: "its state does not allow that: it may still wait for a second person, or be past it; look at its state"}},
	{ani.ErrConflict, Fault{Message: "somebody else has just changed it: read it again"}},
	{ani.ErrTooSoon, Fault{Message: "the newest key is less than a minute old: try again then"}},
	{ani.ErrSpooled, Fault{Message: "entries wait in the spool, and may need an old key: try again when the ledger has them"}},
	{ani.ErrReused, Fault{Location: "header.Idempotency-Key", Message: "was used for another request before"}},
	{ani.ErrCase, Fault{Location: "body", Message: "a reference has at most 64 characters and six digits, so that no number can be in it"}},
	{ani.ErrNotNumber, Fault{Location: "body", Message: notNumber}},
	{ErrRefused, Fault{Location: "body", Message: "has what cannot stand in a ledger, as a long row of digits"}},
	{call.ErrBusy, Fault{Message: "another transfer of this call is on its way"}},
	{call.ErrNotTalking, Fault{Message: "caller and agent are not talking"}},
	{call.ErrNoTransfer, Fault{Message: "no transfer of this call is on its way"}},
}

// notNumber is what is said of a number that is none; it does not say what was sent.
const notNumber = "is not a telephone number; write it as +1 and ten digits, or with its country's code"

// capOf says which cap was reached.
func capOf(err error) Fault {
	if strings.Contains(err.Error(), " on searches") {
		return Fault{Message: "as many searches by number were made as are let in within an hour"}
	}
	if strings.Contains(err.Error(), "the cap of one city") {
		return Fault{Message: "as many numbers were revealed as the city lets in this time, by all of its people together"}
	}
	return Fault{Message: "as many numbers were revealed as the city lets one person see in this time"}
}

// faultOf is the fault of err, or none.
func faultOf(err error) Fault {
	if _, missing, ok := strings.Cut(err.Error(), ani.ErrIncomplete.Error()+": "); ok && errors.Is(err, ani.ErrIncomplete) {
		return Fault{Location: "body", Message: "is not complete: " + sentence(missing)}
	}
	for _, f := range faults {
		if errors.Is(err, f.err) {
			return f.fault
		}
	}
	return Fault{}
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
	var found []Fault
	for _, e := range model.Errors {
		found = append(found, Fault{Location: place(e.Location), Message: sentence(e.Message)})
	}
	return problem(hc.Context(), model.Status, found...), nil
}

// goodPlace is where something can be wrong: a name of ours, or one that was sent and cannot hold a number.
var goodPlace = regexp.MustCompile(`^[A-Za-z]+([.][A-Za-z_-]+|\[[0-9]{1,4}\])*$`)

// place is a location without what somebody sent as the name of a field.
func place(location string) string {
	if goodPlace.MatchString(location) {
		return location
	}
	part, _, _ := strings.Cut(location, ".")
	if !goodPlace.MatchString(part) {
		return ""
	}
	return part
}

// sentence is what somebody else's code says of a value, unless it says the value too.
func sentence(message string) string {
	switch {
	case strings.Contains(message, ani.ErrNotNumber.Error()):
		return notNumber
	case longDigits.MatchString(message):
		return "is not valid"
	default:
		return message
	}
}

// writeProblem answers with a problem outside of huma.
func writeProblem(w http.ResponseWriter, r *http.Request, status int) {
	write(w, problem(r.Context(), status))
}

func write(w http.ResponseWriter, p *Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p) // a reader who is gone needs no answer
}

// describeProblems says in the API's description that its error answers are Problems, which huma cannot know.
func describeProblems(api huma.API) {
	schema := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	content := map[string]*huma.MediaType{"application/problem+json": {Schema: schema}}
	for _, path := range api.OpenAPI().Paths {
		for _, op := range []*huma.Operation{path.Get, path.Post, path.Delete} {
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
