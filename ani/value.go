package ani

import (
	"fmt"
	"io"
	"log/slog"
)

// Value is what Release gave out, sealed as a Number until Reveal is called. It holds no more digits than may be shown.
type Value struct {
	shown Number // of Full: the number; of Mask: country or area code, and the last two digits
	form  valueForm
}

type valueForm byte

const (
	formNone valueForm = iota
	formFull
	formMaskAmerican // +1 NPA ***-**nn
	formMaskOther    // +CC ***-**nn
)

// valueOf reduces a number to what the decision lets out.
func valueOf(n Number, d Decision) Value {
	digits := n.open()
	switch {
	case len(digits) < minDigits:
		return Value{}
	case d == Full:
		return Value{n, formFull}
	case d == Mask && northAmerican(digits):
		return Value{seal(digits[1:4] + digits[len(digits)-2:]), formMaskAmerican}
	case d == Mask:
		return Value{seal(digits[:countryCodeLength(digits)] + digits[len(digits)-2:]), formMaskOther}
	default:
		return Value{}
	}
}

// Reveal returns the text that was released: "+" and digits for FULL, "+1 212 ***-**42" for MASK, nothing otherwise. The
// area code and the last two digits are all that a mask shows: exchange and last four never stand together. Whoever
// calls it takes on the obligations of the grant.
func (v Value) Reveal() string {
	digits := v.shown.open()
	switch v.form {
	case formFull:
		return "+" + digits
	case formMaskAmerican:
		return "+1 " + digits[:3] + " ***-**" + digits[3:]
	case formMaskOther:
		cut := len(digits) - 2
		return "+" + digits[:cut] + " ***-**" + digits[cut:]
	default:
		return ""
	}
}

// Format prints nothing of the value, under any verb.
func (Value) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, redacted) }

// LogValue logs nothing of the value.
func (Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText writes nothing of the value.
func (Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// GobEncode writes nothing of the value.
func (Value) GobEncode() ([]byte, error) { return []byte(redacted), nil }
