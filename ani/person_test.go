package ani

import (
	"errors"
	"testing"
)

// The second person is another one, however the name is written and whatever token is held: an agent's token and one of the
// same name are of one person.
func TestSecondPersonIsAnother(t *testing.T) {
	for _, c := range []struct {
		first, next Person
		another     bool
	}{
		{Person{Actor: "token:Eve/tok_1", Holder: "Eve Gray"}, Person{Actor: "token:Eve/tok_2", Holder: "eve gray "}, false},
		{Person{Actor: "token:Eve/tok_1", Holder: "Eve Gray"}, Person{Actor: "token:Eve/tok_2", Holder: " EVE  GRAY"}, false},
		{Person{Actor: "agent:eve", Holder: "Eve Gray"}, Person{Actor: "token:Eve/tok_2", Holder: "Eve Gray"}, false},
		{Person{Actor: "agent:eve", Holder: "Eve"}, Person{Actor: "agent:eve", Holder: "Eva"}, false},
		{Person{Actor: "agent:eve"}, Person{Actor: "token:Eve/tok_2", Holder: "agent:eve"}, false},
		{Person{Actor: "token:Eve/tok_1", Holder: "Eve Gray"}, Person{Actor: "token:Bob/tok_2", Holder: "Bob Gray"}, true},
	} {
		err := second(c.next, signature{Actor: c.first.Actor, Holder: c.first.holder()})
		if c.another != (err == nil) || err != nil && !errors.Is(err, ErrSecondPerson) {
			t.Errorf("%+v after %+v: %v", c.next, c.first, err)
		}
		if most := (Caps{PerActor: 1, PerCity: 9}).reached([]signature{{Actor: c.first.Actor, Holder: c.first.holder()}}, c.next); c.another != (most == "") {
			t.Errorf("%+v after %+v: cap %q", c.next, c.first, most)
		}
	}
}
