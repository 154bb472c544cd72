package media

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// ErrNoClip says that the library has no sound of that name, in the language asked for or in any that stands in for it.
var ErrNoClip = errors.New("no such sound")

// prompts are the sounds that come with the program. How they were made is in prompts/README.md.
//
//go:embed prompts/*.wav prompts/*/*.wav
var prompts embed.FS

// A Library holds all sounds that may be played, in memory. It never changes once it is open.
type Library struct {
	clips map[string]*Clip // by "language/name", or "name" where it is the same in all languages
}

// OpenLibrary reads the sounds that come with the program and then those under dir, which take the place of the former
// where they have the same name. Dir has a folder for each language (BCP 47, "en", "es") with NAME.wav in it, and may
// have NAME.wav of its own for what has no language. An empty dir adds nothing. A file that cannot be played is an
// error that names it.
func OpenLibrary(dir string) (*Library, error) {
	l := &Library{clips: make(map[string]*Clip)}
	own, err := fs.Sub(prompts, "prompts")
	if err != nil {
		return nil, fmt.Errorf("open own sounds: %w", err)
	}
	if err := l.read(own); err != nil {
		return nil, fmt.Errorf("open own sounds: %w", err)
	}
	if dir == "" {
		return l, nil
	}
	if err := l.read(os.DirFS(dir)); err != nil {
		return nil, fmt.Errorf("open sounds in %s: %w", dir, err)
	}
	return l, nil
}

// Has tells whether there is a sound of that name for that language: in it, in its base language ("es" for "es-MX") or in
// none. Where there is not, Clip lets English stand in.
func (l *Library) Has(language, name string) bool {
	language = strings.ToLower(language)
	base, _, _ := strings.Cut(language, "-")
	return l.clips[language+"/"+name] != nil || l.clips[base+"/"+name] != nil || l.clips[name] != nil
}

// read adds every WAV file of fsys.
func (l *Library) read(fsys fs.FS) error {
	return fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		key, isWAV := strings.CutSuffix(strings.ToLower(name), ".wav")
		if d.IsDir() || !isWAV {
			return nil
		}
		c, err := readClip(fsys, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		l.clips[key] = c
		return nil
	})
}

func readClip(fsys fs.FS, name string) (*Clip, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ParseWAV(f)
}

// Clip returns the sound of that name in that language, or else in the language without its region ("es" for
// "es-MX"), or else the one that serves all languages, or else the English one. Errors: ErrNoClip.
func (l *Library) Clip(language, name string) (*Clip, error) {
	language = strings.ToLower(language)
	base, _, _ := strings.Cut(language, "-")
	for _, key := range []string{language + "/" + name, base + "/" + name, name, "en/" + name} {
		if c, found := l.clips[key]; found {
			return c, nil
		}
	}
	return nil, fmt.Errorf("%w: %q in %q", ErrNoClip, name, language)
}
