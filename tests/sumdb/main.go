// A log's files held against golang.org/x/mod/sumdb (note, tlog), which has a tree, tiles and notes of its own, and files
// made by it, for Fieldprint to be held against (tests/ledger_sumdb_test.py).
//
//	sumdb check DIR        each DIR/N is a log's directory: is it right?
//	sumdb make DIR COUNT SEED
//
// A directory: checkpoint, vkey, skey, tile/... (c2sp.org/tlog-tiles), INDEX.tlog-proof (c2sp.org/tlog-proof), and
// OLD.request, the body of a witness's add-checkpoint with a consistency proof from the size OLD.
package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"log"
	mathrand "math/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

func must(err error) {
	if err != nil {
		log.Output(2, err.Error())
		os.Exit(1)
	}
}

func read(path ...string) string {
	data, err := os.ReadFile(filepath.Join(path...))
	must(err)
	return string(data)
}

func write(data string, path ...string) {
	name := filepath.Join(path...)
	must(os.MkdirAll(filepath.Dir(name), 0o777))
	must(os.WriteFile(name, []byte(data), 0o666))
}

// tlog writes the height into paths, c2sp.org/tlog-tiles does not.
func tilePath(t tlog.Tile) string {
	return strings.Replace(t.Path(), fmt.Sprintf("tile/%d/", height), "tile/", 1)
}

func bundlePath(index int64, width int) string {
	return strings.Replace(tilePath(tlog.Tile{H: height, L: 0, N: index, W: width}), "tile/0/", "tile/entries/", 1)
}

type tiles struct{ dir string }

func (tiles) Height() int                     { return height }
func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (r tiles) ReadTiles(list []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, t := range list {
		data, err := os.ReadFile(filepath.Join(r.dir, tilePath(t)))
		if err != nil && t.W < 1<<height { // the whole one, once it is there
			whole := t
			whole.W = 1 << height
			data, err = os.ReadFile(filepath.Join(r.dir, tilePath(whole)))
			if err == nil {
				data = data[:t.W*tlog.HashSize]
			}
		}
		if err != nil {
			return nil, err
		}
		out = append(out, data)
	}
	return out, nil
}

func openCheckpoint(text, vkey string) tlog.Tree {
	verifier, err := note.NewVerifier(strings.TrimSpace(vkey))
	must(err)
	n, err := note.Open([]byte(text), note.VerifierList(verifier))
	must(err)
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		log.Fatalf("a checkpoint of other lines: %q", n.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	hash, err := tlog.ParseHash(lines[2])
	must(err)
	return tlog.Tree{N: size, Hash: hash}
}

// The number behind `word` in the first line that has it, and the hashes up to the empty line; what follows.
func numberAndHashes(text, word string) (int64, []tlog.Hash, string) {
	head, rest, found := strings.Cut(text, "\n\n")
	if !found {
		log.Fatalf("no empty line: %q", text)
	}
	number := int64(-1)
	var hashes []tlog.Hash
	for _, line := range strings.Split(head, "\n") {
		if strings.HasPrefix(line, word+" ") {
			n, err := strconv.ParseInt(line[len(word)+1:], 10, 64)
			must(err)
			number = n
		} else if number >= 0 {
			hash, err := tlog.ParseHash(line)
			must(err)
			hashes = append(hashes, hash)
		}
	}
	return number, hashes, rest
}

func leavesOf(dir string, size int64) [][]byte {
	var leaves [][]byte
	for begin := int64(0); begin < size; begin += 1 << height {
		width := size - begin
		if width > 1<<height {
			width = 1 << height
		}
		data := read(dir, bundlePath(begin>>height, int(width)))
		for i := int64(0); i < width; i++ {
			n := int(binary.BigEndian.Uint16([]byte(data[:2])))
			leaves = append(leaves, []byte(data[2:2+n]))
			data = data[2+n:]
		}
		if data != "" {
			log.Fatal("a bundle with more than its entries")
		}
	}
	return leaves
}

func check(dir string) (proofs int) {
	vkey := read(dir, "vkey")
	text := read(dir, "checkpoint")
	tree := openCheckpoint(text, vkey)
	leaves := leavesOf(dir, tree.N)
	reader := tlog.TileHashReader(tree, tiles{dir})
	for i, leaf := range leaves {
		hashes, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(i))})
		must(err)
		if hashes[0] != tlog.RecordHash(leaf) {
			log.Fatalf("%s: leaf %d is not the one in its tile", dir, i)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.tlog-proof"))
	must(err)
	for _, file := range files {
		index, hashes, head := numberAndHashes(read(file), "index")
		at := openCheckpoint(head, vkey)
		must(tlog.CheckRecord(hashes, at.N, at.Hash, index, tlog.RecordHash(leaves[index])))
		own, err := tlog.ProveRecord(at.N, index, reader)
		must(err)
		if fmt.Sprint(own) != fmt.Sprint(hashes) {
			log.Fatalf("%s: another proof than tlog's", file)
		}
		proofs++
	}
	files, err = filepath.Glob(filepath.Join(dir, "*.request"))
	must(err)
	for _, file := range files {
		old, hashes, head := numberAndHashes(read(file), "old")
		at := openCheckpoint(head, vkey)
		root, err := tlog.TreeHash(old, reader)
		must(err)
		must(tlog.CheckTree(hashes, at.N, at.Hash, old, root))
		proofs++
	}
	return proofs
}

type storedHashes []tlog.Hash

func (s storedHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, s[i])
	}
	return out, nil
}

func makeLog(dir string, random *mathrand.Rand) {
	name := fmt.Sprintf("log.example/%d", random.Int31())
	skey, vkey, err := note.GenerateKey(rand.Reader, name)
	must(err)
	signer, err := note.NewSigner(skey)
	must(err)
	size := 1 + random.Int63n(600)
	if random.Intn(20) == 0 {
		size = 1 + random.Int63n(66_000)
	}
	var stored storedHashes
	bundle := ""
	for i := int64(0); i < size; i++ {
		leaf := make([]byte, random.Intn(40))
		random.Read(leaf)
		hashes, err := tlog.StoredHashes(i, leaf, stored)
		must(err)
		stored = append(stored, hashes...)
		bundle += string([]byte{byte(len(leaf) >> 8), byte(len(leaf))}) + string(leaf)
		if (i+1)%(1<<height) == 0 || i+1 == size {
			write(bundle, dir, bundlePath(i>>height, int(i%(1<<height)+1)))
			bundle = ""
		}
	}
	for _, t := range tlog.NewTiles(height, 0, size) {
		data, err := tlog.ReadTileData(t, stored)
		must(err)
		write(string(data), dir, tilePath(t))
	}
	root, err := tlog.TreeHash(size, stored)
	must(err)
	head, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", name, size, root)}, signer)
	must(err)
	write(string(head), dir, "checkpoint")
	write(skey, dir, "skey")
	write(vkey, dir, "vkey")
	for i := 0; i < 4; i++ {
		index := random.Int63n(size)
		proof, err := tlog.ProveRecord(size, index, stored)
		must(err)
		text := fmt.Sprintf("c2sp.org/tlog-proof@v1\nindex %d\n", index)
		for _, hash := range proof {
			text += base64.StdEncoding.EncodeToString(hash[:]) + "\n"
		}
		write(text+"\n"+string(head), dir, fmt.Sprintf("%d.tlog-proof", index))
		old := 1 + random.Int63n(size)
		steps, err := tlog.ProveTree(size, old, stored)
		must(err)
		text = fmt.Sprintf("old %d\n", old)
		for _, hash := range steps {
			text += base64.StdEncoding.EncodeToString(hash[:]) + "\n"
		}
		write(text+"\n"+string(head), dir, fmt.Sprintf("%d.request", old))
	}
}

func main() {
	log.SetFlags(log.Lshortfile)
	switch {
	case len(os.Args) == 3 && os.Args[1] == "check":
		dirs, err := filepath.Glob(filepath.Join(os.Args[2], "*", "checkpoint"))
		must(err)
		proofs := 0
		for _, checkpoint := range dirs {
			proofs += check(filepath.Dir(checkpoint))
		}
		fmt.Println(len(dirs), "logs,", proofs, "proofs")
	case len(os.Args) == 5 && os.Args[1] == "make":
		count, err := strconv.Atoi(os.Args[3])
		must(err)
		seed, err := strconv.ParseInt(os.Args[4], 10, 64)
		must(err)
		random := mathrand.New(mathrand.NewSource(seed))
		for i := 0; i < count; i++ {
			makeLog(filepath.Join(os.Args[2], strconv.Itoa(i)), random)
		}
	default:
		log.Fatal("usage: sumdb check DIR | make DIR COUNT SEED")
	}
}
