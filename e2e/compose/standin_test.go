package compose

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// standInLabel marks an image that this package made, so that nobody takes it
// for the real one.
const standInLabel = "evenkeel.stand-in"

// goModCache is where the stand-in keeps the modules.
const goModCache = "/go/pkg/mod"

// baseImage reads the name of the build stage's image from the Dockerfile.
func baseImage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`(?m)^FROM (golang:\S+) AS build$`).FindSubmatch(text)
	if match == nil {
		t.Fatal("the Dockerfile has no line \"FROM golang:… AS build\"")
	}
	return string(match[1])
}

// provideBase makes sure that the base image is there: the real one if the
// engine has or gets it, else a stand-in that is removed after the test.
func (e *engine) provideBase(t *testing.T, image string) {
	t.Helper()
	if out, err := e.try("docker", "image", "inspect", "--format", `{{index .Config.Labels "`+standInLabel+`"}}`, image); err == nil {
		if strings.TrimSpace(out) != "true" {
			return
		}
		e.run(t, "docker", "image", "rm", "--force", image) // left by a run that was killed
	}
	out, err := e.try("docker", "pull", "--quiet", image)
	if err == nil {
		return
	}
	t.Logf("%s cannot be pulled, so a stand-in takes its place: %s", image, strings.TrimSpace(out))
	if runtime.GOOS != "linux" {
		t.Skip("a stand-in for the base image can only be made from a Linux toolchain")
	}
	e.importStandIn(t, image)
	t.Cleanup(func() {
		// The test's context may have ended.
		ctx := context.WithoutCancel(e.ctx)
		if out, err := runIn(ctx, nil, "docker", "image", "rm", "--force", image); err != nil {
			t.Errorf("remove the stand-in: %v: %s", err, out)
		}
		// The images of the build stage inherit the label.
		if out, err := runIn(ctx, nil, "docker", "image", "prune", "--force", "--filter", "label="+standInLabel+"=true"); err != nil {
			t.Errorf("remove what was built on the stand-in: %v: %s", err, out)
		}
	})
}

func (e *engine) importStandIn(t *testing.T, image string) {
	t.Helper()
	goRoot := strings.TrimSpace(e.run(t, "go", "env", "GOROOT"))
	modules := moduleFiles(t, e)
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(writeStandIn(writer, goRoot, modules)) }()
	out, err := runIn(e.ctx, reader, "docker", "import",
		"--change", "ENV PATH=/usr/local/go/bin:/usr/bin:/bin GOPATH=/go GOTOOLCHAIN=local GOPROXY=off GOSUMDB=off GOFLAGS=-mod=mod",
		"--change", "LABEL "+standInLabel+"=true", "-", image)
	if closing := reader.CloseWithError(errors.New("docker import has ended")); err != nil || closing != nil {
		t.Fatalf("docker import %s: %v\n%s", image, err, out)
	}
}

// moduleFiles returns the files of the download cache that `go mod download`
// needs, by their path below the module cache.
func moduleFiles(t *testing.T, e *engine) map[string]string {
	t.Helper()
	cache := e.run(t, "go", "env", "GOMODCACHE")
	cmd := exec.CommandContext(e.ctx, "go", "mod", "download", "-json")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go mod download -json: %v", err)
	}
	files := make(map[string]string)
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var module struct{ Zip string }
		if err := decoder.Decode(&module); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{module.Zip, strings.TrimSuffix(module.Zip, ".zip") + ".ziphash"} {
			files[strings.TrimPrefix(name, cache)] = name
		}
	}
	// The go.mod files of all versions, because the graph is wider than what
	// is downloaded.
	download := filepath.Join(cache, "cache", "download")
	err = filepath.WalkDir(download, func(name string, entry fs.DirEntry, err error) error {
		if ext := filepath.Ext(name); err == nil && !entry.IsDir() && (ext == ".mod" || ext == ".info") {
			files[strings.TrimPrefix(name, cache)] = name
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// writeStandIn writes the image's root file system as a tar archive: the Go
// toolchain, the modules, a shell with its libraries and the certificates of
// authorities.
func writeStandIn(w io.Writer, goRoot string, modules map[string]string) error {
	image := tarball{tar.NewWriter(w)}
	for _, dir := range []string{"tmp", "root", "src"} {
		if err := image.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o777}); err != nil {
			return err
		}
	}
	for _, part := range []string{"bin", "lib", "pkg", "src", "VERSION", "go.env"} {
		if err := image.tree(filepath.Join(goRoot, part), "usr/local/go/"+part); err != nil {
			return err
		}
	}
	for below, name := range modules {
		if err := image.file(name, goModCache+filepath.ToSlash(below)); err != nil {
			return err
		}
	}
	shell, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		return err
	}
	if err := image.file(shell, "bin/sh"); err != nil {
		return err
	}
	libraries, err := librariesOf(shell)
	if err != nil {
		return err
	}
	for _, library := range append(libraries, "/etc/ssl/certs/ca-certificates.crt") {
		if err := image.file(library, library); err != nil {
			return err
		}
	}
	return image.Close()
}

// librariesOf asks the dynamic loader which files a program needs.
func librariesOf(program string) ([]string, error) {
	out, err := exec.Command("ldd", program).CombinedOutput()
	if strings.Contains(string(out), "not a dynamic executable") || strings.Contains(string(out), "statically linked") {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ldd %s: %w: %s", program, err, out)
	}
	return regexp.MustCompile(`/\S+`).FindAllString(strings.ReplaceAll(string(out), program+":", ""), -1), nil
}

// tarball adds files of this machine to an archive.
type tarball struct{ *tar.Writer }

// tree adds a file or a whole folder. Tests and their data are left out: no
// build needs them, and they are a third of the toolchain.
func (b tarball) tree(from, to string) error {
	return filepath.WalkDir(from, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == "testdata":
			return filepath.SkipDir
		case entry.IsDir() || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		return b.file(name, to+filepath.ToSlash(strings.TrimPrefix(name, from)))
	})
}

// file adds one file, with what a link points to in place of the link.
func (b tarball) file(from, to string) error {
	file, err := os.Open(from)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(to, "/"), Size: info.Size(), Mode: int64(info.Mode().Perm()), ModTime: info.ModTime()}
	if err := b.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(b, file)
	return err
}
