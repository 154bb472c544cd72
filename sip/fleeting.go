package sip

import (
	"sync"

	"github.com/emiago/sipgo/sip"
)

// sipgo keeps the INVITE that a call began with until its handler returns, which is when the call ends. What says in it
// who is calling is read once, by ani, and then let go.
//
// What remains for as long is what answers have to repeat or requests to name (RFC 3261 §8.2.6.2, §12.2.1.1): Request-URI,
// Via, From, To, Call-ID and Contact; From and Contact once more in the dialog; header fields that are on no list of ours;
// the caller's SDP. The buffers that a message was read into are sipgo's and the runtime's: they are not overwritten before
// they are used again. No core is written, so all of it dies with the process.

// fleetingNames are the header fields that may say who is calling, who pays or who was called before, as sipgo's parser
// looks them up. From and Contact are not among them.
var fleetingNames = map[string]string{
	"p-asserted-identity": "P-Asserted-Identity", "p-preferred-identity": "P-Preferred-Identity",
	"remote-party-id": "Remote-Party-ID", "p-charge-info": "P-Charge-Info", "diversion": "Diversion",
	"history-info": "History-Info", "identity": "Identity", "y": "Identity", "call-info": "Call-Info",
	"user-to-user": "User-to-User", "p-access-network-info": "P-Access-Network-Info", "geolocation": "Geolocation",
	"p-called-party-id": "P-Called-Party-ID", "p-associated-uri": "P-Associated-URI", "p-served-user": "P-Served-User",
	"p-charging-vector": "P-Charging-Vector", "reply-to": "Reply-To", "subject": "Subject", "s": "Subject",
	"organization": "Organization", "referred-by": "Referred-By", "b": "Referred-By",
}

// A fleeting is a header field whose value can be let go while sipgo holds the message. It is safe for concurrent use, and
// what sipgo copies or writes of it has no value.
type fleeting struct {
	sip.Header // the name alone

	mu   sync.Mutex
	text string
}

// keepFleeting parses a header field of that name.
func keepFleeting(name string) sip.HeaderParser {
	return func(_ []byte, text string) (sip.Header, error) {
		return &fleeting{Header: sip.NewHeader(name, ""), text: text}, nil
	}
}

// Value is what came, until it was forgotten.
func (f *fleeting) Value() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.text
}

func (f *fleeting) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.text = ""
}

// spend lets go of everything in req that says who is calling and that no answer needs.
func spend(req *sip.Request) {
	for _, h := range req.Headers() {
		if f, ok := h.(*fleeting); ok {
			f.forget()
		}
	}
}
