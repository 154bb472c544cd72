package ani

import "encoding/json"

// Entered is a number that a person or another program sends us: a field of this type seals what stands in JSON, YAML or
// a command's flag while that is being read, so that nothing behind the decoder ever holds digits. It is written back as
// "redacted". What is no number fails the decoding with ErrNotNumber; null and "" leave none.
type Entered struct {
	discreet
	number Number
}

// Number is what was entered, zero when nothing was.
func (e Entered) Number() Number { return e.number }

// IsZero tells whether nothing was entered.
func (e Entered) IsZero() bool { return e.number.IsZero() }

// UnmarshalText seals text. Errors: ErrNotNumber.
func (e *Entered) UnmarshalText(text []byte) (err error) {
	e.number = Number{}
	if len(text) > 0 {
		e.number, err = ParseNumber(string(text))
	}
	return err
}

// UnmarshalJSON seals a string. A JSON number is refused: it has lost its "+", and errors of the decoder would quote it.
func (e *Entered) UnmarshalJSON(value []byte) error {
	var text *string
	if json.Unmarshal(value, &text) != nil {
		return ErrNotNumber
	}
	if text == nil {
		text = new(string)
	}
	return e.UnmarshalText([]byte(*text))
}
