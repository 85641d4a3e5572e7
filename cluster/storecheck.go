package cluster

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// bbolt scans all pages when it opens a file without a list of free ones, in a
// goroutine of its own, and panics there if one is not as it should be. Nobody
// can contain that, so the pages are checked before it gets to see them.
//
// The format is that of bbolt's internal/common (page.go, meta.go, bucket.go),
// in the byte order of the machine.
const (
	pageHeader  = 16
	pageElement = 16 // of a branch and of a leaf alike
	pageBranch  = 0x01
	pageLeaf    = 0x02
	leafBucket  = 0x01 // flag of a leaf's element whose value is a bucket
	bucketSize  = 16

	metaMagic    = 0xED0CDAED
	metaSum      = 56 // where the checksum is, after all that it covers
	metaSize     = 64
	minPage      = 1 << 10
	maxPage      = 1 << 16
	maxPageDepth = 64
)

// pages is a file of bbolt's while it is checked.
type pages struct {
	file io.ReaderAt
	size uint64 // of one page
	end  uint64 // the first page that was never used
	seen map[uint64]bool
}

// subtree is a page and all below it. Its keys are at least low and less than
// high; nil is no bound.
type subtree struct {
	page      uint64
	low, high []byte
}

// checkPages reports what is wrong with the structure of a file of bbolt's.
// What is within the values is not its business. A file without a sound meta
// page is left to bbolt, which names that fault by itself.
//
// bbolt itself is content with one of the two, and takes the file for what it was
// before the last write if that one was the newer: an entry or a vote that the
// node has given its word for would be gone. What a meta page says lies within its
// first sector, which a loss of power leaves as it was before the write or after.
func checkPages(file io.ReaderAt) error {
	p, root, err := newPages(file)
	if p == nil || err != nil {
		return err
	}
	for id := range int64(2) {
		m, err := readMeta(file, id*int64(p.size))
		if err != nil {
			return err
		}
		if !m.sound {
			return fmt.Errorf("meta page %d is damaged: the other one may be of an earlier write", id)
		}
	}
	// Pages that are in use may all lie before a cut, so that only the length
	// tells that something is missing.
	if _, err := file.ReadAt(make([]byte, 1), int64(p.end*p.size)-1); err != nil {
		if passes(err) {
			return err
		}
		return fmt.Errorf("the file ends before the last of its %d pages", p.end)
	}
	return p.check(subtree{page: root}, 0)
}

// metaPage is what a meta page says, nothing if it is not sound.
type metaPage struct {
	sound                  bool
	size, root, end, write uint64
}

// readMeta reads the meta page that begins at an offset. The error is one that may
// pass.
func readMeta(file io.ReaderAt, offset int64) (m metaPage, err error) {
	meta := make([]byte, metaSize)
	if _, err := file.ReadAt(meta, offset+pageHeader); passes(err) {
		return m, err
	} else if err != nil {
		return m, nil
	}
	native := binary.NativeEndian
	sum := fnv.New64a()
	sum.Write(meta[:metaSum])
	size := uint64(native.Uint32(meta[8:]))
	if native.Uint32(meta) != metaMagic || native.Uint64(meta[metaSum:]) != sum.Sum64() || size < minPage || size > maxPage {
		return m, nil
	}
	return metaPage{sound: true, size: size, root: native.Uint64(meta[16:]), end: native.Uint64(meta[40:]), write: native.Uint64(meta[48:])}, nil
}

// newPages reads the newest sound meta page. It returns nil without one.
func newPages(file io.ReaderAt) (p *pages, root uint64, err error) {
	var newest uint64
	take := func(offset int64) error {
		m, err := readMeta(file, offset)
		if err == nil && m.sound && (p == nil || m.write >= newest) {
			newest, root = m.write, m.root
			p = &pages{file: file, size: m.size, end: m.end, seen: map[uint64]bool{}}
		}
		return err
	}
	err = take(0)
	for size := int64(minPage); size <= maxPage && err == nil; size *= 2 {
		err = take(size) // where the second is depends on the page size, which the first may not tell any more
	}
	return p, root, err
}

// read returns a page with what overflows into the next ones.
func (p *pages) read(id uint64) ([]byte, error) {
	if id < 2 || id >= p.end {
		return nil, fmt.Errorf("page %d does not exist, there are %d", id, p.end)
	}
	page := make([]byte, p.size)
	if _, err := p.file.ReadAt(page, int64(id*p.size)); err != nil {
		return nil, fmt.Errorf("page %d: the file ends before it: %w", id, err)
	}
	overflow := uint64(binary.NativeEndian.Uint32(page[12:]))
	if own := binary.NativeEndian.Uint64(page); own != id || overflow >= p.end-id {
		return nil, fmt.Errorf("page %d is damaged: its header says page %d and %d more", id, own, overflow)
	}
	last := int64((id+overflow+1)*p.size - 1)
	if _, err := p.file.ReadAt(make([]byte, 1), last); err != nil { // before a header's word takes memory
		return nil, fmt.Errorf("page %d: the file ends within it: %w", id, err)
	}
	for i := id; i <= id+overflow; i++ {
		if p.seen[i] {
			return nil, fmt.Errorf("page %d is damaged: two others lead to page %d", id, i)
		}
		p.seen[i] = true
	}
	if overflow == 0 {
		return page, nil
	}
	page = make([]byte, (overflow+1)*p.size)
	if _, err := p.file.ReadAt(page, int64(id*p.size)); err != nil {
		return nil, fmt.Errorf("page %d: the file ends within it: %w", id, err)
	}
	return page, nil
}

// check follows everything below a page.
func (p *pages) check(of subtree, depth int) error {
	if depth > maxPageDepth {
		return fmt.Errorf("page %d is damaged: it is %d levels deep", of.page, depth)
	}
	page, err := p.read(of.page)
	if err != nil {
		return err
	}
	children, err := elements(page, of)
	if err != nil {
		return fmt.Errorf("page %d is damaged: %w", of.page, err)
	}
	for _, child := range children {
		if err := p.check(child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// elements checks what is on a page and returns what it leads to.
func elements(page []byte, of subtree) (children []subtree, err error) {
	native := binary.NativeEndian
	flags, count := native.Uint16(page[8:]), int(native.Uint16(page[10:]))
	if flags != pageBranch && flags != pageLeaf {
		return nil, fmt.Errorf("it is neither a branch nor a leaf but %#x", flags)
	}
	if pageHeader+count*pageElement > len(page) || flags == pageBranch && count == 0 {
		return nil, fmt.Errorf("it cannot have %d elements", count)
	}
	last := of.low
	for i := range count {
		key, value, child, err := element(page[pageHeader+i*pageElement:], flags)
		if err != nil {
			return nil, err
		}
		if order := bytes.Compare(last, key); last != nil && (order > 0 || order == 0 && i > 0) || of.high != nil && bytes.Compare(key, of.high) >= 0 {
			return nil, errors.New("its keys are not in order")
		}
		if flags == pageBranch && i > 0 {
			children[i-1].high = key
		}
		last = key
		switch {
		case child != nil && child.page == 0:
			err = inline(value)
		case child != nil:
			children = append(children, *child)
		}
		if err != nil {
			return nil, err
		}
	}
	if flags == pageBranch {
		children[count-1].high = of.high
	}
	return children, nil
}

// element reads one element of a page: a branch's leads to a child, and so does
// a leaf's whose value is a bucket; one without a page is within the value.
func element(e []byte, flags uint16) (key, value []byte, child *subtree, err error) {
	native := binary.NativeEndian
	if flags == pageBranch {
		key, _, err = within(e, native.Uint32(e), native.Uint32(e[4:]), 0)
		child = &subtree{page: native.Uint64(e[8:]), low: key}
		if err == nil && child.page == 0 {
			err = errors.New("a branch leads nowhere")
		}
		return key, nil, child, err
	}
	key, value, err = within(e, native.Uint32(e[4:]), native.Uint32(e[8:]), native.Uint32(e[12:]))
	if err != nil || native.Uint32(e)&leafBucket == 0 {
		return key, value, nil, err
	}
	if len(value) < bucketSize {
		return nil, nil, nil, errors.New("a bucket on it is cut off")
	}
	return key, value, &subtree{page: native.Uint64(value)}, nil
}

// inline checks a bucket that holds a small leaf within itself, and no other
// bucket in turn.
func inline(bucket []byte) error {
	leaf := bucket[bucketSize:]
	if len(leaf) < pageHeader || binary.NativeEndian.Uint16(leaf[8:]) != pageLeaf {
		return errors.New("a bucket on it is no leaf")
	}
	below, err := elements(leaf, subtree{})
	if err == nil && len(below) > 0 {
		err = errors.New("it leads to other pages")
	}
	if err != nil {
		return fmt.Errorf("a bucket on it: %w", err)
	}
	return nil
}

// within returns an element's key and value, which begin pos bytes after the
// element itself.
func within(element []byte, pos, keySize, valueSize uint32) (key, value []byte, err error) {
	if uint64(pos)+uint64(keySize)+uint64(valueSize) > uint64(len(element)) {
		return nil, nil, errors.New("an element on it lies beyond it")
	}
	data := element[pos:]
	return data[:keySize], data[keySize:][:valueSize], nil
}
