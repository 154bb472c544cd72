package ani

import (
	"errors"

	"callhall/call"
)

// cityKeys returns the city's keys, the newest last.
func (v *Vault) cityKeys(city call.CityID) ([]Key, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if keys, ok := v.known[city]; ok {
		return keys, nil
	}
	keys, err := v.keys.Keys(city)
	if err != nil {
		return nil, err
	}
	v.known[city] = keys
	return keys, nil
}

// forgetKeys makes the next cityKeys read the key file again.
func (v *Vault) forgetKeys(city call.CityID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.known, city)
}

// newestKey is the key that the city seals with.
func (v *Vault) newestKey(city call.CityID) (Key, error) {
	keys, err := v.cityKeys(city)
	if err != nil {
		return Key{}, err
	}
	return keys[len(keys)-1], nil
}

// withKeys lets open try the city's keys. If it misses one, the key file is read again: another process may have added it.
func (v *Vault) withKeys(city call.CityID, open func([]Key) error) error {
	keys, err := v.cityKeys(city)
	if err != nil {
		return err
	}
	err = open(keys)
	if !errors.Is(err, ErrNoKey) {
		return err
	}
	v.forgetKeys(city)
	if keys, err = v.cityKeys(city); err != nil {
		return err
	}
	return open(keys)
}
