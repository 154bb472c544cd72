package phone

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/emiago/sipgo/sip"
)

// A dialog is one side's view of a SIP dialog (RFC 3261 §12). It builds the requests within it and judges those that
// come.
type dialog struct {
	callID    string
	local     sip.FromHeader // ours, with our tag
	remote    sip.ToHeader   // theirs, with their tag
	contact   sip.ContactHeader
	transport string

	mu        sync.Mutex
	target    sip.Uri // where requests go in the end
	routes    []*sip.RouteHeader
	cseq      uint32 // of our last request
	theirCSeq uint32 // of their last request
}

// key finds a dialog by what a request within it carries.
func (d *dialog) key() string { return dialogKey(d.callID, tagOf(d.local.Params)) }

// dialogKey names a dialog on our side: our tags are random, so the far side's is not needed.
func dialogKey(callID, ourTag string) string { return callID + "\x00" + ourTag }

func tagOf(params sip.HeaderParams) string { return params.GetOr("tag", "") }

// calling makes the dialog of an INVITE that we sent, from the 2xx that answers it (§12.1.2).
func calling(req *sip.Request, res *sip.Response) (*dialog, error) {
	if res.Contact() == nil || res.To() == nil || tagOf(res.To().Params) == "" {
		return nil, errors.New("the answer has no Contact or no To tag")
	}
	d := &dialog{
		callID: string(*req.CallID()), local: *req.From(), remote: *res.To(), contact: *req.Contact(),
		transport: req.Transport(), target: *res.Contact().Address.Clone(), cseq: req.CSeq().SeqNo,
	}
	for _, h := range slices.Backward(res.GetHeaders("Record-Route")) {
		d.addRoute(h)
	}
	return d, nil
}

// called makes the dialog of an INVITE that came to us (§12.1.1).
func called(req *sip.Request, contact sip.ContactHeader, ourTag string) (*dialog, error) {
	if req.Contact() == nil {
		return nil, errors.New("the INVITE has no Contact")
	}
	local := sip.FromHeader{DisplayName: req.To().DisplayName, Address: req.To().Address, Params: req.To().Params.Clone()}
	local.Params.Add("tag", ourTag)
	d := &dialog{
		callID: string(*req.CallID()), local: local,
		remote:  sip.ToHeader{DisplayName: req.From().DisplayName, Address: req.From().Address, Params: req.From().Params},
		contact: contact, transport: req.Transport(), target: *req.Contact().Address.Clone(),
		theirCSeq: req.CSeq().SeqNo,
	}
	for _, h := range req.GetHeaders("Record-Route") {
		d.addRoute(h)
	}
	return d, nil
}

func (d *dialog) addRoute(h sip.Header) {
	if rr, ok := h.(*sip.RecordRouteHeader); ok {
		d.routes = append(d.routes, &sip.RouteHeader{Address: *rr.Address.Clone()})
	}
}

// request builds the next request within the dialog (§12.2.1.1). An ACK and a CANCEL have the number of their INVITE,
// which the caller sets.
func (d *dialog) request(method sip.RequestMethod) *sip.Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	if method != sip.ACK {
		d.cseq++
	}
	req := sip.NewRequest(method, *d.target.Clone())
	req.AppendHeader(&sip.FromHeader{DisplayName: d.local.DisplayName, Address: d.local.Address, Params: d.local.Params.Clone()})
	req.AppendHeader(&sip.ToHeader{DisplayName: d.remote.DisplayName, Address: d.remote.Address, Params: d.remote.Params.Clone()})
	callID := sip.CallIDHeader(d.callID)
	req.AppendHeader(&callID)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: d.cseq, MethodName: method})
	for _, r := range d.routes {
		req.AppendHeader(&sip.RouteHeader{Address: *r.Address.Clone()})
	}
	contact := d.contact
	req.AppendHeader(&contact)
	req.SetTransport(d.transportTo())
	return req
}

// transportTo is what the next hop's URI asks for, or what the dialog began on. d.mu is held.
func (d *dialog) transportTo() string {
	hop := &d.target
	if len(d.routes) > 0 {
		hop = &d.routes[0].Address
	}
	return strings.ToUpper(hop.UriParams.GetOr("transport", d.transport))
}

// used notes that a request was sent again under a higher number, with a password.
func (d *dialog) used(cseq uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cseq = max(d.cseq, cseq)
}

// refresh takes the Contact of a re-INVITE or of its answer as the new target (§12.2).
func (d *dialog) refresh(contact *sip.ContactHeader) {
	if contact == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.target = *contact.Address.Clone()
}

// errOutOfOrder says that a request came after a later one.
var errOutOfOrder = errors.New("out of order")

// accept judges the number of a request that came within the dialog (§12.2.2).
func (d *dialog) accept(req *sip.Request) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := req.CSeq().SeqNo; n <= d.theirCSeq {
		return fmt.Errorf("%s: %w", req.Method, errOutOfOrder)
	}
	d.theirCSeq = req.CSeq().SeqNo
	return nil
}

// reasonText is the text of a Reason header field (RFC 3326), or fallback.
func reasonText(msg sip.Message, fallback string) string {
	for _, h := range msg.GetHeaders("Reason") {
		if _, after, found := strings.Cut(h.Value(), `text="`); found {
			text, _, _ := strings.Cut(after, `"`)
			return text
		}
	}
	return fallback
}
