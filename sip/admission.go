package sip

import (
	"fmt"
	"hash/maphash"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

// An admission judges every request before a handler sees it (RFC 3261 §8.2). sipgo parses and does not judge; behind
// admission a request has each mandatory header field once and readable, our version, a method and extensions that we
// know, and a body of a size and kind that we take.
type admission struct {
	merged *recent
	log    *slog.Logger

	refused  atomic.Uint64 // requests that got no further
	panicked atomic.Uint64
}

// A refusal is the answer to a request that is not admitted. The zero code is silence: an ACK has no answer.
type refusal struct {
	code    int
	reason  string
	headers []sip.Header
}

// admitted are the methods that have a handler (invite.go, registrar.go); the rest is refused by name.
func admitted() []sip.RequestMethod {
	return []sip.RequestMethod{sip.INVITE, sip.ACK, sip.CANCEL, sip.BYE, sip.OPTIONS, sip.REGISTER, sip.INFO}
}

func newAdmission(d Deps) *admission {
	return &admission{merged: newRecent(mergeSpan, d.Now), log: d.Log}
}

// mergeSpan is how long a request may take to come by a second way: the life of its transaction, 64·T1.
const mergeSpan = 32 * time.Second

// admit returns a handler that judges, answers what is not admitted, and lets next have the rest. A panic in next ends
// that one request and no call besides it: sipgo has no net of its own.
func (a *admission) admit(next sipgo.RequestHandler) sipgo.RequestHandler {
	return func(req *sip.Request, tx sip.ServerTransaction) {
		defer a.catch(req, tx)
		if r := a.judge(req); r != nil {
			a.refused.Add(1)
			a.answer(req, tx, r)
			return
		}
		next(req, tx)
	}
}

// refuse answers a request whose method has no handler.
func (a *admission) refuse(req *sip.Request, tx sip.ServerTransaction) {
	a.admit(func(req *sip.Request, tx sip.ServerTransaction) { a.answer(req, tx, unknownMethod(req.Method)) })(req, tx)
}

func (a *admission) catch(req *sip.Request, tx sip.ServerTransaction) {
	p := recover()
	if p == nil {
		return
	}
	a.panicked.Add(1)
	a.log.Error("request handler panicked", "method", knownMethod(req.Method), "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
	a.answer(req, tx, &refusal{code: 500, reason: "Server Internal Error"})
}

// answer sends r, repeating even those header fields of the request that could not be read.
func (a *admission) answer(req *sip.Request, tx sip.ServerTransaction, r *refusal) {
	if r.code == 0 || req.IsAck() {
		return
	}
	res := sip.NewResponseFromRequest(req, r.code, r.reason, nil)
	res.SipVersion = "SIP/2.0"
	for _, name := range []string{"From", "To", "Call-ID", "CSeq"} {
		if res.GetHeader(name) == nil {
			copyUnread(name, req, res)
		}
	}
	for _, h := range r.headers {
		res.AppendHeader(h)
	}
	if err := tx.Respond(res); err != nil {
		a.log.Debug("refusal not sent", "status", r.code, "err", err)
	}
}

// copyUnread copies the first header field of that name as it came, unless it could carry something across a line.
func copyUnread(name string, req *sip.Request, res *sip.Response) {
	for _, h := range req.Headers() {
		if canonicalName(h.Name()) == name && !hasControl(h.Value()) {
			res.AppendHeader(sip.NewHeader(name, h.Value()))
			return
		}
	}
}

// judge returns why req is not admitted, or nil.
func (a *admission) judge(req *sip.Request) *refusal {
	for _, check := range []func(*sip.Request) *refusal{
		checkFrame, checkVersion, checkHeaders, checkAddresses, checkCSeq, checkMethod, checkTarget,
		checkHops, a.checkMerged, checkRequire, checkBody,
	} {
		if r := check(req); r != nil {
			return r
		}
	}
	return nil
}

func badRequest(why string) *refusal { return &refusal{code: 400, reason: "Bad Request - " + why} }

// checkFrame answers for the gate, which has no way to answer itself.
func checkFrame(req *sip.Request) *refusal {
	switch req.Recipient.Host {
	case hostMalformed:
		return badRequest("Cannot Be Read")
	case hostOversize:
		return &refusal{code: 513, reason: "Message Too Large"}
	case hostScheme:
		return &refusal{code: 416, reason: "Unsupported URI Scheme"}
	default:
		return nil
	}
}

func checkVersion(req *sip.Request) *refusal {
	if !strings.EqualFold(req.SipVersion, "SIP/2.0") {
		return &refusal{code: 505, reason: "Version Not Supported"}
	}
	return nil
}

// checkHeaders counts and measures: each mandatory field once (RFC 3261 §8.1.1), none that may stand once only
// twice, each that matters read by the parser, no control character anywhere (RFC 3261 §25.1).
func checkHeaders(req *sip.Request) *refusal {
	count := make(map[string]int, 16)
	size := 0
	for _, h := range req.Headers() {
		name := canonicalName(h.Name())
		count[name]++
		if !isRead(name, h) {
			return badRequest("Malformed " + name)
		}
		value := textOf(h)
		if size += len(name) + len(value) + 4; hasControl(value) || !isToken(h.Name()) {
			return badRequest("Control Character")
		}
	}
	if size > maxHeaderBytes || len(req.Headers()) > maxHeaders {
		return &refusal{code: 513, reason: "Message Too Large"}
	}
	for _, name := range []string{"Via", "From", "To", "Call-ID", "CSeq"} {
		if count[name] == 0 {
			return badRequest("Missing " + name)
		}
	}
	for _, name := range []string{"From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type", "Expires"} {
		if count[name] > 1 {
			return badRequest("More Than One " + name)
		}
	}
	if req.Method == sip.INVITE && count["Contact"] != 1 { // RFC 3261 §8.1.1.8
		return badRequest("One Contact Wanted")
	}
	return nil
}

// textOf is the value of a field, as far as a sender can have put anything into it. Asked for its value, sipgo prints a
// CSeq with fmt, which costs more than all the rest of this check.
func textOf(h sip.Header) string {
	if cseq, ok := h.(*sip.CSeqHeader); ok {
		return string(cseq.MethodName)
	}
	return h.Value()
}

// isRead tells whether the parser could read a field of that name; newParser leaves the others as text.
func isRead(name string, h sip.Header) (read bool) {
	switch name {
	case "Via":
		_, read = h.(*sip.ViaHeader)
	case "From":
		_, read = h.(*sip.FromHeader)
	case "To":
		_, read = h.(*sip.ToHeader)
	case "Call-ID":
		_, read = h.(*sip.CallIDHeader)
	case "CSeq":
		_, read = h.(*sip.CSeqHeader)
	case "Contact":
		_, read = h.(*sip.ContactHeader)
	case "Route":
		_, read = h.(*sip.RouteHeader)
	case "Record-Route":
		_, read = h.(*sip.RecordRouteHeader)
	case "Max-Forwards":
		hops, ok := h.(*sip.MaxForwardsHeader)
		return ok && *hops <= 255
	case "Content-Length":
		_, read = h.(*sip.ContentLengthHeader)
	case "Content-Type":
		_, read = h.(*sip.ContentTypeHeader)
	default:
		return true
	}
	return read
}

// hasControl tells whether s holds a control character other than the tab that may separate words.
func hasControl(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return true
		}
	}
	return false
}

// checkAddresses looks at what must be an address: the sent-by of the top Via, and From and To with their tags.
func checkAddresses(req *sip.Request) *refusal {
	via, from, to := req.Via(), req.From(), req.To()
	switch {
	case via.Host == "" || via.Port < 0 || via.Port > 65535 || strings.ContainsAny(via.Host, " \t"):
		return badRequest("Malformed Via")
	case !isURI(&from.Address):
		return badRequest("Malformed From")
	case !isURI(&to.Address):
		return badRequest("Malformed To")
	case from.Params.GetOr("tag", "") == "": // RFC 3261 §8.1.1.3; we do not speak RFC 2543
		return badRequest("No Tag In From")
	case hasControl(req.Recipient.String()):
		return badRequest("Control Character")
	default:
		return nil
	}
}

// isURI tells whether u has a scheme, and a host where its scheme has one.
func isURI(u *sip.Uri) bool {
	if !isToken(u.Scheme) {
		return false
	}
	if u.Scheme == "sip" || u.Scheme == "sips" {
		return u.Host != "" && u.Port >= 0 && u.Port <= 65535 && !strings.ContainsAny(u.Host, " \t<>\"")
	}
	return u.Raw() != ""
}

// checkCSeq wants the method of the request line (RFC 3261 §8.1.1.5). sipgo upper-cases the one and not the other.
func checkCSeq(req *sip.Request) *refusal {
	if !strings.EqualFold(string(req.CSeq().MethodName), string(req.Method)) {
		return badRequest("CSeq Method Mismatch")
	}
	return nil
}

func checkMethod(req *sip.Request) *refusal {
	if slices.Contains(admitted(), req.Method) {
		return nil
	}
	return unknownMethod(req.Method)
}

// unknownMethod is 405 for a method that SIP has and we have no use for (RFC 3261 §8.2.1), 501 for any other (§21.5.2).
func unknownMethod(m sip.RequestMethod) *refusal {
	if knownMethod(m) == "" {
		return &refusal{code: 501, reason: "Not Implemented", headers: []sip.Header{allowHeader()}}
	}
	return &refusal{code: 405, reason: "Method Not Allowed", headers: []sip.Header{allowHeader()}}
}

// knownMethod is m when SIP has that method, and empty otherwise, so that a stranger's text reaches no log.
func knownMethod(m sip.RequestMethod) string {
	switch m {
	case sip.INVITE, sip.ACK, sip.CANCEL, sip.BYE, sip.REGISTER, sip.OPTIONS, sip.SUBSCRIBE, sip.NOTIFY, sip.REFER,
		sip.INFO, sip.MESSAGE, sip.PRACK, sip.UPDATE, sip.PUBLISH:
		return string(m)
	default:
		return ""
	}
}

// checkTarget wants a Request-URI that is sip or tel and carries no header fields (RFC 3261 §19.1.5): TLS, and with it
// sips, comes later.
func checkTarget(req *sip.Request) *refusal {
	uri := &req.Recipient
	switch {
	case uri.Scheme != "sip" && uri.Scheme != "tel":
		return &refusal{code: 416, reason: "Unsupported URI Scheme"}
	case uri.Headers.Length() > 0 || strings.ContainsAny(uri.User, "<>\" ") || !isURI(uri):
		return badRequest("Malformed Request-URI")
	default:
		return nil
	}
}

// checkHops refuses a call that has no hop left: it would go on to an agent, so the rule of a proxy holds (RFC 7332
// §4). Anything else ends here, and an endpoint does not mind (RFC 4475 §3.3.11).
func checkHops(req *sip.Request) *refusal {
	if hops := req.MaxForwards(); hops != nil && *hops == 0 && req.Method == sip.INVITE && isOutside(req) {
		return &refusal{code: 483, reason: "Too Many Hops"}
	}
	return nil
}

// isOutside tells whether req stands outside any dialog (RFC 3261 §12.2.2).
func isOutside(req *sip.Request) bool { return req.To().Params.GetOr("tag", "") == "" }

// checkMerged refuses a request that came here by a second way (RFC 3261 §8.2.2.2).
func (a *admission) checkMerged(req *sip.Request) *refusal {
	if req.Method == sip.ACK || req.Method == sip.CANCEL || !isOutside(req) {
		return nil
	}
	request := []string{string(*req.CallID()), req.From().Params.GetOr("tag", ""), req.CSeq().Value()}
	if a.merged.other(request, req.Via().Host+" "+req.Via().Params.GetOr("branch", "")) {
		return &refusal{code: 482, reason: "Loop Detected"}
	}
	return nil
}

// checkRequire refuses extensions, each of them named (RFC 3261 §8.2.2.3): we have none.
func checkRequire(req *sip.Request) *refusal {
	if req.Method == sip.ACK || req.Method == sip.CANCEL {
		return nil
	}
	unknown := listOf(req, "Require")
	if len(unknown) == 0 {
		return nil
	}
	unsupported := sip.NewHeader("Unsupported", strings.Join(unknown, ", "))
	return &refusal{code: 420, reason: "Bad Extension", headers: []sip.Header{unsupported}}
}

// listOf gathers the values of a header field that is a list, wherever they stand.
func listOf(req *sip.Request, name string) (values []string) {
	for _, h := range req.Headers() {
		if !strings.EqualFold(canonicalName(h.Name()), name) {
			continue
		}
		for value := range strings.SplitSeq(h.Value(), ",") {
			if value = strings.TrimSpace(value); value != "" {
				values = append(values, value)
			}
		}
	}
	return values
}

// checkBody wants a body that is small, plain and, in an INVITE, SDP (RFC 3261 §8.2.3).
func checkBody(req *sip.Request) *refusal {
	if len(req.Body()) > maxBody {
		return &refusal{code: 413, reason: "Request Entity Too Large"}
	}
	for _, coding := range listOf(req, "Content-Encoding") {
		if !strings.EqualFold(coding, "identity") {
			return unsupportedMedia("Accept-Encoding", "identity")
		}
	}
	if req.Method != sip.INVITE {
		return nil
	}
	if len(req.Body()) > 0 && !isSDP(req.ContentType()) {
		return unsupportedMedia("Accept", sdpType)
	}
	if accepted := listOf(req, "Accept"); len(accepted) > 0 && !slices.ContainsFunc(accepted, acceptsSDP) {
		return &refusal{code: 406, reason: "Not Acceptable"}
	}
	return nil
}

const sdpType = "application/sdp"

func unsupportedMedia(header, value string) *refusal {
	return &refusal{code: 415, reason: "Unsupported Media Type", headers: []sip.Header{sip.NewHeader(header, value)}}
}

func isSDP(h *sip.ContentTypeHeader) bool {
	return h != nil && strings.EqualFold(mediaType(h.Value()), sdpType)
}

func acceptsSDP(accept string) bool {
	switch strings.ToLower(mediaType(accept)) {
	case sdpType, "application/*", "*/*":
		return true
	default:
		return false
	}
}

// mediaType is a media type without its parameters.
func mediaType(s string) string {
	t, _, _ := strings.Cut(s, ";")
	return strings.TrimSpace(t)
}

// A recent remembers which transaction a request was first seen in, for between one and two times its span. It keeps
// hashes only; two requests of one hash are as likely as a disk that lies.
type recent struct {
	span time.Duration
	now  func() time.Time
	seed maphash.Seed

	mu       sync.Mutex
	young    map[uint64]uint64
	old      map[uint64]uint64
	rotateAt time.Time
}

// maxRecent bounds each of the two generations: about 6,000 requests a second for 32 s.
const maxRecent = 200_000

func newRecent(span time.Duration, now func() time.Time) *recent {
	return &recent{span: span, now: now, seed: maphash.MakeSeed(), young: map[uint64]uint64{}}
}

// other reports whether request was seen in a transaction other than this one; the first one seen is kept.
func (r *recent) other(request []string, transaction string) bool {
	key, value := maphash.Comparable(r.seed, [3]string(request)), maphash.String(r.seed, transaction)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rotate()
	for _, seen := range []map[uint64]uint64{r.young, r.old} {
		if first, ok := seen[key]; ok {
			return first != value
		}
	}
	r.young[key] = value
	return false
}

// rotate forgets what is older than the span. The caller holds mu.
func (r *recent) rotate() {
	now := r.now()
	if now.Before(r.rotateAt) && len(r.young) < maxRecent {
		return
	}
	r.old = r.young
	if now.Sub(r.rotateAt) > r.span { // nothing came for a whole span
		r.old = nil
	}
	r.young, r.rotateAt = map[uint64]uint64{}, now.Add(r.span)
}
