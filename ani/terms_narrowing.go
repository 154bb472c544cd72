package ani

import (
	"errors"
	"fmt"
	"slices"
)

// Narrowing is what a city forbids beyond its profile. There is nothing that permits: a setting can only narrow the terms.
type Narrowing struct {
	Purposes   []Purpose   // for nobody
	Recipients []Recipient // for nothing
}

// fixedPurposes and fixedRecipients are out of a city's reach: emergency, legal process and the subject's rights.
var (
	fixedPurposes   = []Purpose{PurposeEmergency, PurposeExigency, PurposeLegalProcess, PurposeSubjectRights}
	fixedRecipients = []Recipient{RecipientPSAP, RecipientPolice, RecipientSubject, RecipientSubjectAgent}
)

// Forbids tells whether the city's settings forbid what the tuple asks. It goes into Tuple.Narrowed.
func (n Narrowing) Forbids(t Tuple) bool {
	return !slices.Contains(fixedPurposes, t.Purpose) &&
		(slices.Contains(n.Purposes, t.Purpose) || slices.Contains(n.Recipients, t.Recipient))
}

// Check returns every fault of the settings: a word that is not known, or one that no setting reaches. Settings with a
// fault are refused when the program starts, since a city would rely on what has no effect.
func (n Narrowing) Check() error {
	return errors.Join(narrowable("purpose", n.Purposes, Purposes(), fixedPurposes), narrowable("recipient", n.Recipients, Recipients(), fixedRecipients))
}

func narrowable[T ~string](what string, chosen, known, fixed []T) error {
	var errs []error
	for _, v := range chosen {
		switch {
		case !slices.Contains(known, v):
			errs = append(errs, fmt.Errorf("narrow the terms: there is no %s %q", what, string(v)))
		case slices.Contains(fixed, v):
			errs = append(errs, fmt.Errorf("narrow the terms: %s %s: emergency, legal process and the subject's rights are out of a city's reach", what, v))
		}
	}
	return errors.Join(errs...)
}
