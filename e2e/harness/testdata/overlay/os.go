package os

// The recorder keeps, for a directory and all below it, what a loss of power
// would leave of it, in the strictest reading of POSIX: of each file what it
// held when it was synced last, of each directory the names that it had when
// the directory itself was. It needs Linux, and a file system that knows when
// a file was made.
//
// A shadow directory holds it: files/ID is a synced file's content, dirs/ID the
// synced names of a directory, each as "f ID NAME" or "d ID NAME" on a line of
// its own, and root the ID of the directory that is watched. Who is not there
// was never synced. The process may be killed at any time: a file whose sync
// was under way may hold some of what was synced, as on a disk.

import (
	"io"
	"runtime"
	"sync"
	"syscall"
	"unsafe"
)

// injectedFile is a file that this process has opened. One that it has not
// seen before is copied whole when it is synced first.
type injectedFile struct {
	id     string
	whole  bool
	ranges [][2]int64 // from, to
}

type injectedRecorder struct {
	root, shadow string

	mu    sync.Mutex // guards what follows
	files map[string]*injectedFile
	open  map[int]*injectedFile
}

// init records when INJECT_POWER_OF and INJECT_POWER_SHADOW name the
// directory, which is there, and its shadow, which is made of what is on the
// disk if it is not there: all of that counts as synced.
func init() {
	root, shadow := Getenv("INJECT_POWER_OF"), Getenv("INJECT_POWER_SHADOW")
	if root == "" || shadow == "" {
		return
	}
	r := &injectedRecorder{root: root, shadow: shadow, files: map[string]*injectedFile{}, open: map[int]*injectedFile{}}
	if _, err := Stat(shadow + "/root"); err != nil {
		r.must(MkdirAll(shadow+"/files", 0o700))
		r.must(MkdirAll(shadow+"/dirs", 0o700))
		id, _ := r.identify(root)
		r.scan(root)
		r.replace(shadow+"/root", id)
	}
	syscall.Injected.Store(&syscall.InjectedRecorder{Opened: r.opened, Wrote: r.wrote, Sync: r.sync, Closes: r.closes})
}

// injectedStatx is the number of the call.
var injectedStatx = map[string]uintptr{"amd64": 332, "arm64": 291}[runtime.GOARCH]

// must ends the process: a record with a gap in it would be believed.
func (r *injectedRecorder) must(err error) {
	if err != nil {
		panic("record what is synced: " + err.Error())
	}
}

// identify returns the identity of a file and its mode. The number of a file
// that is gone is given to the next, which was made at another time.
func injectedIdentify(path string) (id string, mode uint16, err error) {
	const (
		currentDir = -100
		basics     = 0x7ff
		made       = 0x800
	)
	var buf [256]byte // struct statx
	name, err := syscall.BytePtrFromString(path)
	if err != nil {
		return "", 0, err
	}
	at := currentDir
	_, _, errno := syscall.Syscall6(injectedStatx, uintptr(at), uintptr(unsafe.Pointer(name)), 0, basics|made, uintptr(unsafe.Pointer(&buf)), 0)
	if errno != 0 {
		return "", 0, &PathError{Op: "statx", Path: path, Err: errno}
	}
	word := func(at int) uint64 { return *(*uint64)(unsafe.Pointer(&buf[at])) }
	if word(0)&made == 0 {
		return "", 0, &PathError{Op: "find out when it was made", Path: path, Err: syscall.ENOTSUP}
	}
	id = injectedDigits(word(32)) + "-" + injectedDigits(word(80)) + "-" + injectedDigits(uint64(uint32(word(88))))
	return id, *(*uint16)(unsafe.Pointer(&buf[28])), nil
}

func (r *injectedRecorder) identify(path string) (id string, mode uint16) {
	id, mode, err := injectedIdentify(path)
	r.must(err)
	return id, mode
}

func injectedDigits(n uint64) string {
	digits := make([]byte, 0, 20)
	for ; n > 9; n /= 10 {
		digits = append(digits, byte('0'+n%10))
	}
	digits = append(digits, byte('0'+n))
	for i, j := 0, len(digits)-1; i < j; i, j = i+1, j-1 {
		digits[i], digits[j] = digits[j], digits[i]
	}
	return string(digits)
}

// scan takes all that is on the disk for synced.
func (r *injectedRecorder) scan(dir string) {
	r.syncedDir(dir, r.names(dir))
	entries, err := ReadDir(dir)
	r.must(err)
	for _, entry := range entries {
		path := dir + "/" + entry.Name()
		if entry.IsDir() {
			r.scan(path)
			continue
		}
		id, _ := r.identify(path)
		r.copy(path, &injectedFile{id: id, whole: true})
	}
}

// within tells whether a path is watched.
func (r *injectedRecorder) within(path string) bool {
	return path == r.root || len(path) > len(r.root) && path[:len(r.root)] == r.root && path[len(r.root)] == '/'
}

func injectedPath(fd int) string { return "/proc/self/fd/" + injectedDigits(uint64(fd)) }

func (r *injectedRecorder) opened(fd int, path string, flags int) {
	if !r.within(path) {
		return
	}
	id, mode := r.identify(injectedPath(fd))
	if mode&syscall.S_IFMT != syscall.S_IFREG {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	file := r.files[id]
	if file == nil {
		file = &injectedFile{id: id, whole: true}
		r.files[id] = file
	}
	if flags&syscall.O_TRUNC != 0 {
		file.whole = true
	}
	r.open[fd] = file
	syscall.InjectedMark(fd)
}

func (r *injectedRecorder) closes(fd int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, fd)
}

func (r *injectedRecorder) wrote(fd int, offset int64, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch file := r.open[fd]; {
	case file == nil || file.whole:
	case offset < 0:
		file.whole, file.ranges = true, nil
	default:
		file.ranges = append(file.ranges, [2]int64{offset, offset + int64(n)})
	}
}

// sync records what is there before a directory's sync begins, and what is
// there after a file's has ended: nobody else writes to it meanwhile.
func (r *injectedRecorder) sync(fd int, raw func(int) error) error {
	path, err := Readlink(injectedPath(fd))
	if err != nil || !r.within(path) {
		return raw(fd)
	}
	r.mu.Lock()
	file := r.open[fd]
	r.mu.Unlock()
	if file == nil {
		names := r.names(injectedPath(fd))
		if err := raw(fd); err != nil {
			return err
		}
		r.syncedDir(injectedPath(fd), names)
		return nil
	}
	r.mu.Lock()
	changed := *file
	file.whole, file.ranges = false, nil
	r.mu.Unlock()
	if err := raw(fd); err != nil {
		r.mu.Lock()
		file.whole = true
		r.mu.Unlock()
		return err
	}
	r.copy(injectedPath(fd), &changed)
	return nil
}

// names lists a directory. It begins anew when a file has gone meanwhile.
func (r *injectedRecorder) names(dir string) string {
again:
	entries, err := ReadDir(dir)
	r.must(err)
	var lines string
	for _, entry := range entries {
		kind := "f "
		if entry.IsDir() {
			kind = "d "
		}
		id, _, err := injectedIdentify(dir + "/" + entry.Name())
		if IsNotExist(err) {
			goto again
		}
		r.must(err)
		lines += kind + id + " " + entry.Name() + "\n"
	}
	return lines
}

func (r *injectedRecorder) syncedDir(dir, names string) {
	id, _ := r.identify(dir)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.replace(r.shadow+"/dirs/"+id, names)
}

func (r *injectedRecorder) replace(path, content string) {
	r.must(WriteFile(path+".new", []byte(content), 0o600))
	r.must(Rename(path+".new", path))
}

// copy writes what has changed of a file into the shadow.
func (r *injectedRecorder) copy(path string, changed *injectedFile) {
	from, err := Open(path)
	r.must(err)
	defer from.Close()
	to, err := OpenFile(r.shadow+"/files/"+changed.id, O_WRONLY|O_CREATE, 0o600)
	r.must(err)
	defer to.Close()
	info, err := from.Stat()
	r.must(err)
	ranges := changed.ranges
	if changed.whole {
		ranges = [][2]int64{{0, info.Size()}}
	}
	for _, part := range ranges {
		data := make([]byte, max(0, min(part[1], info.Size())-part[0]))
		n, err := from.ReadAt(data, part[0])
		if err != io.EOF {
			r.must(err)
		}
		_, err = to.WriteAt(data[:n], part[0])
		r.must(err)
	}
	r.must(to.Truncate(info.Size()))
}
