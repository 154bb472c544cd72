package ledger

import (
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// TestStatementNeedsBothKeys: whoever has only the new key, or only the old one, states nothing.
func TestStatementNeedsBothKeys(t *testing.T) {
	keys := KeyDir(t.TempDir())
	old, err := keys.Key("a", true)
	if err != nil {
		t.Fatal(err)
	}
	next, err := keys.Next("a")
	if err != nil {
		t.Fatal(err)
	}
	text := rotationText("a", old.Verifier, next.Verifier)
	for name, signers := range map[string][]note.Signer{"both": {old.Signer, next.Signer}, "the old one": {old.Signer},
		"the new one": {next.Signer}, "both, the wrong way round": {next.Signer, old.Signer}} {
		signed, err := note.Sign(&note.Note{Text: text}, signers...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseRotation("a", string(signed)); (err == nil) != (name == "both") {
			t.Errorf("signed by %s: %v", name, err)
		}
		if _, err := parseRotation("b", string(signed)); err == nil {
			t.Errorf("signed by %s: taken for another log", name)
		}
	}
}
