package ani

import (
	"errors"
	"maps"
	"slices"

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

// refreshKeys reads the city's keys again. When they cannot be read those that are known go on serving.
func (v *Vault) refreshKeys(city call.CityID) error {
	keys, err := v.keys.Keys(city)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.known[city] = keys
	return nil
}

// refreshAllKeys does so for every city whose keys are known.
func (v *Vault) refreshAllKeys() error {
	v.mu.Lock()
	cities := slices.Collect(maps.Keys(v.known))
	v.mu.Unlock()
	var errs []error
	for _, city := range cities {
		if err := v.refreshKeys(city); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
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
	if rerr := v.refreshKeys(city); rerr != nil {
		return errors.Join(err, rerr)
	}
	if keys, err = v.cityKeys(city); err != nil {
		return err
	}
	return open(keys)
}
