package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A node whose store is damaged may never vote again under its UID: it does not
// know what it has promised. So the store is moved aside and the node becomes
// another one, its own successor, in steps of which each survives a crash:
//
//  1. the identity gets a new UID, with what it was and where the old files go
//  2. the old files go there, the identity as it was with them
//  3. an empty store is made
//  4. the identity says that this is done
//
// Whoever starts between two of them finds in the identity that it has to go on.
// The store of the new UID is not used before the last one, and from then on has
// to be there like that of any member.
//
// The identity keeps its cluster, so such a node never forms one. It is let in
// by a leader whose term has committed an entry, which takes a majority that
// has its state; the vote of the old UID counts until the new one has its own.

const (
	// asidePrefix begins the names of folders with damaged stores; a number
	// follows.
	asidePrefix = "damaged-"
	// keptAside of them are kept, the newest.
	keptAside = 3
	// maxFormer bounds how often a store may be damaged before the node is let
	// in: beyond, the disk is to blame.
	maxFormer = 8
)

// rejoin is kept in the identity of a node that is its own successor, until it is
// let in.
type rejoin struct {
	// Was are the UIDs that it had since it was a member, the newest last: it may
	// have been let in under each without hearing of it.
	Was []string `json:"was"`
	// Damage is what was wrong with the store, and with which file.
	Damage string `json:"damage"`
	// Aside is the name of the folder with the old files.
	Aside string `json:"aside"`
	// Moved tells that the steps are done.
	Moved bool `json:"moved"`
}

// asideFiles belong to a UID and are moved with it. The image does not: it is
// served.
var asideFiles = []string{fileStore, dirSnapshots, fileForming, fileApplied}

// errWornOut tells that the store was damaged too often.
var errWornOut = errors.New("this has happened too often since the node was a member: replace the disk")

// succeedItself makes the node its own successor, see above. It must not be
// used yet. What is there may be the outcome of an earlier attempt; damage is
// not needed then.
func (d *dataDir) succeedItself(damage error) error {
	steps := []func() error{d.moveAside, d.makeStore, d.endMove}
	if d.id.Rejoin == nil || d.id.Rejoin.Moved {
		steps = slices.Insert(steps, 0, func() error { return d.renounce(damage) })
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("move the damaged store of %q aside: %w", d.path, err)
		}
	}
	return nil
}

// renounce is step 1.
func (d *dataDir) renounce(damage error) error {
	next := rejoin{Was: []string{d.id.UID}, Damage: damage.Error()}
	if d.id.Rejoin != nil {
		next.Was = append(slices.Clone(d.id.Rejoin.Was), d.id.UID)
	}
	if len(next.Was) > maxFormer {
		return errWornOut
	}
	all, err := d.asides()
	if err != nil {
		return err
	}
	number := 1
	if len(all) > 0 {
		number = all[len(all)-1] + 1
	}
	next.Aside = asidePrefix + strconv.Itoa(number)
	return d.becomeSuccessor(newUID(), &next)
}

// moveAside is step 2. What lies in the place of a file that was moved before was
// made since, by step 3, and not used.
func (d *dataDir) moveAside() error {
	rejoin := d.id.Rejoin
	aside := d.file(rejoin.Aside)
	if err := os.Mkdir(aside, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	was := identity{UID: rejoin.Was[len(rejoin.Was)-1], Starts: d.id.Starts, ClusterID: d.id.ClusterID}
	if err := replaceJSON(filepath.Join(aside, fileIdentity), was); err != nil {
		return err
	}
	for _, name := range asideFiles {
		from, to := d.file(name), filepath.Join(aside, name)
		switch {
		case !exists(from):
		case exists(to):
			if err := os.RemoveAll(from); err != nil {
				return err
			}
		default:
			if err := os.Rename(from, to); err != nil {
				return err
			}
		}
	}
	return errors.Join(syncDir(aside), syncDir(d.path))
}

// makeStore is step 3.
func (d *dataDir) makeStore() error {
	bolt, err := openBolt(d.file(fileStore))
	if err != nil {
		return err
	}
	return errors.Join(bolt.Close(), syncDir(d.path))
}

// endMove is step 4.
func (d *dataDir) endMove() error {
	done := *d.id.Rejoin
	done.Moved = true
	return d.becomeSuccessor(d.id.UID, &done)
}

// becomeSuccessor is only called before the directory is used by anyone else.
func (d *dataDir) becomeSuccessor(uid string, r *rejoin) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := d.id
	next.NamedAfter = cmp.Or(next.NamedAfter, next.UID)
	next.UID, next.Rejoin = uid, r
	if err := d.save(next); err != nil {
		return err
	}
	d.id = next
	return nil
}

// admitted ends what succeedItself has begun: the node is a member again.
func (d *dataDir) admitted() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := d.id
	next.Rejoin = nil
	if err := d.save(next); err != nil {
		return err
	}
	d.id.Rejoin = nil // this field alone: the others are read without the lock
	return nil
}

// asides returns the numbers of the folders with damaged stores, in order.
func (d *dataDir) asides() (numbers []int, err error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		text, is := strings.CutPrefix(entry.Name(), asidePrefix)
		if number, err := strconv.Atoi(text); is && err == nil && number > 0 {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// forgetOldAsides removes all folders with damaged stores but the newest.
func (d *dataDir) forgetOldAsides() error {
	all, err := d.asides()
	for len(all) > keptAside {
		err = errors.Join(err, os.RemoveAll(d.file(asidePrefix+strconv.Itoa(all[0]))))
		all = all[1:]
	}
	return err
}
