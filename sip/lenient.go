package sip

import (
	"reflect"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// Sizes that a message may have. What is larger is refused, or dropped where no answer can be made.
const (
	maxHeaders     = 256       // header fields in a message
	maxHeaderBytes = 32 << 10  // start line and header fields
	maxBody        = 64 << 10  // bytes of body
	maxMessage     = 128 << 10 // what the parser holds of one message on a stream before it gives up on the connection
)

// newParser returns sipgo's parser made lenient: a header field that sipgo cannot read is kept as text, so that the
// request still arrives and admission can answer 400, where sipgo alone would drop it without a word. It also reads
// the white space that RFC 3261 §7.3.1 allows around separators.
func newParser() *sip.Parser {
	strict := sip.DefaultHeadersParser()
	lenient := make(map[string]sip.HeaderParser, len(strict))
	for name, parse := range strict {
		lenient[name] = tolerate(canonicalName(name), parse)
	}
	for lower, name := range fleetingNames {
		lenient[lower] = keepFleeting(name)
	}
	p := sip.NewParser(sip.WithHeadersParsers(lenient))
	p.MaxMessageLength = maxMessage
	return p
}

// tolerate returns a parser of one kind of header field that never fails.
func tolerate(name string, parse sip.HeaderParser) sip.HeaderParser {
	return func(lower []byte, text string) (h sip.Header, err error) {
		defer func() {
			if recover() != nil { // sipgo reads input here and has no net under it
				h, err = sip.NewHeader(name, text), nil
			}
		}()
		if name == "Via" {
			text = tightenVia(text)
		}
		h, err = parse(lower, text)
		if err == nil || isComma(err) {
			tidy(h)
			return h, err
		}
		return sip.NewHeader(name, text), nil
	}
}

// comma is the type of the error by which sipgo's parsers of lists say "another value follows"; it has no public name.
var comma = func() reflect.Type {
	_, err := sip.DefaultHeadersParser()["contact"]([]byte("contact"), "<sip:a@a.invalid>,<sip:b@b.invalid>")
	return reflect.TypeOf(err)
}()

func isComma(err error) bool { return reflect.TypeOf(err) == comma }

// tidy takes out the white space that sipgo leaves in parameters, and writes their names in lower case.
func tidy(h sip.Header) {
	switch h := h.(type) {
	case *sip.FromHeader:
		tidyAddress(&h.Address, &h.Params)
	case *sip.ToHeader:
		tidyAddress(&h.Address, &h.Params)
	case *sip.ContactHeader:
		tidyAddress(&h.Address, &h.Params)
	case *sip.ViaHeader:
		h.Params = tidyParams(h.Params)
	case *sip.CSeqHeader:
		h.MethodName = sip.RequestMethod(strings.TrimSpace(string(h.MethodName)))
	}
}

func tidyAddress(uri *sip.Uri, params *sip.HeaderParams) {
	uri.Host = strings.TrimSpace(uri.Host)
	*params = tidyParams(*params)
}

func tidyParams(params sip.HeaderParams) sip.HeaderParams {
	tidied := params[:0]
	for _, p := range params {
		p.K, p.V = strings.ToLower(strings.TrimSpace(p.K)), strings.TrimSpace(p.V)
		if p.K != "" {
			tidied = append(tidied, p)
		}
	}
	return tidied
}

// tightenVia takes the optional white space out of a Via field ("SIP / 2.0 / UDP   host ; branch = x") and puts it
// behind each value instead, so that sipgo, which counts positions, finds each comma where it was.
func tightenVia(text string) string {
	values := strings.Split(text, ",")
	for i, value := range values {
		values[i] = tightenViaValue(value)
	}
	return strings.Join(values, ",")
}

func tightenViaValue(value string) string {
	words := strings.Fields(value)
	if len(words) < 2 || (len(words) == 2 && value[0] != ' ' && strings.Count(words[0], "/") == 2) {
		return value
	}
	var protocol string
	for len(words) > 0 && (strings.Count(protocol, "/") < 2 || strings.HasSuffix(protocol, "/")) {
		protocol += words[0]
		words = words[1:]
	}
	tight := protocol + " " + strings.Join(words, "")
	return tight + strings.Repeat(" ", max(0, len(value)-len(tight)))
}

// canonicalName is the full name of a header field that may come in short (RFC 3261 §7.3.3) and in any case.
func canonicalName(name string) string {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "v", "via":
		return "Via"
	case "f", "from":
		return "From"
	case "t", "to":
		return "To"
	case "i", "call-id":
		return "Call-ID"
	case "cseq":
		return "CSeq"
	case "m", "contact":
		return "Contact"
	case "l", "content-length":
		return "Content-Length"
	case "c", "content-type":
		return "Content-Type"
	case "max-forwards":
		return "Max-Forwards"
	case "route":
		return "Route"
	case "record-route":
		return "Record-Route"
	case "r", "refer-to":
		return "Refer-To"
	case "b", "referred-by":
		return "Referred-By"
	case "e", "content-encoding":
		return "Content-Encoding"
	case "k", "supported":
		return "Supported"
	case "x", "session-expires":
		return "Session-Expires"
	default:
		return name
	}
}
