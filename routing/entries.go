package routing

import (
	"fmt"
	"strings"

	"callhall/call"
)

// Destination is what a dialled number stands for.
type Destination struct {
	City     call.CityID
	Number   string // the entry as configured
	Queue    call.QueueID
	Language string
}

// dialled is what a call's way is found by. The caller's number is no part of it.
type dialled struct {
	trunk  call.TrunkID
	number string // canonical
}

// Find tells whose number was dialled on that trunk. dialled is the Request-URI's number: "311", "+12125550100" or
// "311;phone-context=+1" (RFC 3966 §5.1.5); visual separators are ignored. A context is compared as it stands and never
// guessed. Errors: ErrUnknownEntry; there is no default city.
func (s *Service) Find(trunk call.TrunkID, number string) (Destination, error) {
	d, ok := s.entries[dialled{trunk, canonical(number)}]
	if !ok {
		return Destination{}, fmt.Errorf("find entry on trunk %s: %w", trunk, ErrUnknownEntry)
	}
	return d, nil
}

// canonical strips the visual separators of RFC 3966 §3 from the number and lowers the case of its context.
func canonical(number string) string {
	digits, context, local := strings.Cut(strings.TrimSpace(number), ";")
	digits = strings.Map(func(r rune) rune {
		if strings.ContainsRune("-.() ", r) {
			return -1
		}
		return r
	}, digits)
	if !local {
		return digits
	}
	return digits + ";" + strings.ToLower(context)
}

// isNumber tells whether a configured number has a form that a call can arrive with.
func isNumber(number string) bool {
	digits, context, local := strings.Cut(canonical(number), ";")
	digits = strings.TrimPrefix(digits, "+")
	if digits == "" || strings.Trim(digits, "0123456789*#") != "" {
		return false
	}
	return !local || strings.HasPrefix(context, "phone-context=") && len(context) > len("phone-context=")
}
