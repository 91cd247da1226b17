"""The reader rules, one attack each: what was not asked for is neither read nor written."""

import contextlib
import io
import os
import pickle
import zipfile

import h5py
import numpy as np
import pytest

from jaxrl.core.errors import CorruptInput, UsageError
from jaxrl.core.files import sha256
from jaxrl.data import safe

ARRAY = np.arange(12, dtype=np.float32).reshape(4, 3)


class Bomb:
    """Leaves a trace when unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def write_hdf5(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


def refused(message, read, *args, **kwargs):
    with pytest.raises(CorruptInput, match=message) as error:
        read(*args, **kwargs)
    assert str(args[0]) in str(error.value) and error.value.exit_code == 5


def test_arrays_come_back(tmp_path):
    arrays = {"a": ARRAY, "f": np.asfortranarray(ARRAY), "scalar": np.float64(3), "flag": ARRAY > 4}
    np.savez(tmp_path / "x.npz", **arrays)
    write_hdf5(tmp_path / "x.hdf5", **arrays, **{"deep/er": ARRAY.astype(np.uint8)})
    for read, name in ((safe.read_npz, "x.npz"), (safe.read_hdf5, "x.hdf5")):
        found = read(tmp_path / name)
        assert set(found) - {"deep/er"} == set(arrays)
        for key, array in arrays.items():
            assert found[key].dtype == array.dtype
            np.testing.assert_array_equal(found[key], array)
    assert safe.read_hdf5(tmp_path / "x.hdf5", names=["deep/er"])["deep/er"].dtype == np.uint8


def test_optional_arrays_tables_and_names(tmp_path):
    table = np.zeros(3, [("iter", np.int32), ("ret", np.float32)])
    path = write_hdf5(tmp_path / "x.hdf5", a=ARRAY, table=table, text="SAC", **{"deep/b": ARRAY})
    with h5py.File(path, "a") as file:
        file["link"] = h5py.SoftLink("/a")
    np.savez(tmp_path / "x.npz", a=ARRAY, b=ARRAY)
    assert set(safe.read_hdf5(path, ["a"], optional=["deep/b", "none"])) == {"a", "deep/b"}
    assert set(safe.read_npz(tmp_path / "x.npz", ["a"], optional=["b", "none"])) == {"a", "b"}
    assert safe.read_hdf5(path, ["table"])["table"].dtype.names == ("iter", "ret")
    assert sorted(safe.names_hdf5(path)) == ["a", "deep/b", "table", "text"]
    refused("'link' is a link", safe.read_hdf5, path, names=["a"], optional=["link"])
    with h5py.File(path, "a") as file:
        file.create_dataset("strings", (3,), [("name", h5py.string_dtype()), ("ret", np.float32)])
        file["deep/loop"] = file["deep"]
    refused("only arrays of numbers are read", safe.read_hdf5, path, names=["strings"])
    refused("'deep/loop' contains itself", safe.names_hdf5, path)


def test_npz_with_an_object_array(tmp_path):
    path, trace = tmp_path / "x.npz", tmp_path / "trace"
    np.savez(path, a=ARRAY, infos=np.asarray([Bomb(trace)], object))
    refused("'infos' is of type object; only arrays of numbers are read", safe.read_npz, path)
    assert set(safe.read_npz(path, names=["a"])) == {"a"}
    path.write_bytes(pickle.dumps(Bomb(trace)))
    refused("not a complete npz file", safe.read_npz, path)
    assert not trace.exists()


def test_npz_entry_that_is_a_pickle(tmp_path):
    path, trace = tmp_path / "x.npz", tmp_path / "trace"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", pickle.dumps(Bomb(trace)))
    refused("'a' is not an array", safe.read_npz, path)
    assert not trace.exists()


def test_npz_header_that_lies(tmp_path):
    raw = io.BytesIO()
    np.lib.format.write_array_header_1_0(raw, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)})
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", raw.getvalue() + b"1234")
    refused("'a' has 4 bytes, its header says", safe.read_npz, tmp_path / "x.npz")


@pytest.mark.parametrize("kind", ["external", "soft", "virtual", "storage", "string", "cycle"])
def test_hdf5_that_points_away(tmp_path, kind):
    secret = write_hdf5(tmp_path / "secret.hdf5", a=ARRAY)
    raw = tmp_path / "secret.bin"
    raw.write_bytes(ARRAY.tobytes())
    path = write_hdf5(tmp_path / "x.hdf5", good=ARRAY)
    with h5py.File(path, "a") as file:
        if kind == "external":
            file["bad"] = h5py.ExternalLink(str(secret), "a")
        elif kind == "soft":
            file["bad"] = h5py.SoftLink("/good")
        elif kind == "virtual":
            layout = h5py.VirtualLayout((4, 3), np.float32)
            layout[:] = h5py.VirtualSource(str(secret), "a", shape=(4, 3))
            file.create_virtual_dataset("bad", layout)
        elif kind == "storage":
            file.create_dataset("bad", (4, 3), np.float32, external=[(str(raw), 0, 48)])
        elif kind == "string":
            file["bad"] = "text"
        else:
            file.create_group("bad")["bad"] = file["/"]
    words = {"external": "link", "soft": "link", "string": "of type object", "cycle": "contains itself"}
    refused(words.get(kind, "lie in another file"), safe.read_hdf5, path)
    np.testing.assert_array_equal(safe.read_hdf5(path, names=["good"])["good"], ARRAY)
    if kind != "cycle":
        refused(words.get(kind, "lie in another file"), safe.read_hdf5, path, names=["bad"])


def test_declared_size_is_checked_before_reading(tmp_path):
    with h5py.File(tmp_path / "x.hdf5", "w") as file:  # a terabyte that occupies nothing
        file.create_dataset("a", (1 << 38,), np.float32, chunks=(1 << 10,), compression="gzip")
    refused("declares 1099511627776 bytes", safe.read_hdf5, tmp_path / "x.hdf5")
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(1 << 16))
    refused("more than the limit of 1024; raise the limit", safe.read_npz, tmp_path / "x.npz", limit=1024)


@pytest.mark.parametrize("read", [safe.read_hdf5, safe.read_npz])
def test_missing_array(tmp_path, read):
    np.savez(tmp_path / "x", a=ARRAY)
    path = tmp_path / "x.npz" if read is safe.read_npz else write_hdf5(tmp_path / "x.h5", a=ARRAY)
    refused("has no array 'b'; it has a", read, path, names=["b"])


@pytest.mark.parametrize("read", [safe.read_hdf5, safe.read_npz])
def test_truncated_file(tmp_path, read):
    np.savez(tmp_path / "x", a=ARRAY)
    path = tmp_path / "x.npz" if read is safe.read_npz else write_hdf5(tmp_path / "x.h5", a=ARRAY)
    whole = path.read_bytes()
    for keep in (10, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:keep])
        refused("delete and fetch again", read, path)


def test_another_file_is_refused_by_its_digest(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"content")
    digest = sha256(source)
    assert digest == "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
    safe.verify(source, digest)
    source.write_bytes(b"contemt")
    refused("SHA-256 is", safe.verify, source, digest)


def test_no_such_file(tmp_path):
    for read in (safe.read_hdf5, safe.read_npz, lambda path: safe.verify(path, "0")):
        with pytest.raises(UsageError, match=r"nowhere: no such file"):
            read(tmp_path / "nowhere")


def test_npz_header_of_brackets(tmp_path):
    """What numpy's parser raises is not its caller's business."""
    endless = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1" * 5000
    for text in ("[" * 500, "(" * 150 + ")" * 150, endless):
        write_npy(tmp_path / "x.npz", text.encode(), b"")
        refused("'a' is not an array", safe.read_npz, tmp_path / "x.npz")


def write_npy(path, header, body, version=(1, 0)):
    with zipfile.ZipFile(path, "w") as archive:
        size = len(header).to_bytes(2 if version == (1, 0) else 4, "little")
        archive.writestr("a.npy", b"\x93NUMPY" + bytes(version) + size + header + body)


def test_hdf5_groups_that_link_to_each_other_are_visited_once(tmp_path):
    """Two links from each group to the next are 2^26 paths."""
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        group = file
        for _ in range(26):
            below = group.create_group("a")
            group["b"] = below
            group = below
        group["x"] = ARRAY
    name = "a/" * 26 + "x"
    assert safe.names_hdf5(tmp_path / "x.hdf5") == [name]
    np.testing.assert_array_equal(safe.read_hdf5(tmp_path / "x.hdf5")[name], ARRAY)


def test_hdf5_sizes_that_overflow(tmp_path):
    """2^32 times 2^32 is 0 in 64 bits."""
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        file.create_dataset("a", (1 << 32, 1 << 32), np.float32, chunks=(1, 1 << 10), compression="gzip")
    refused(f"declares {1 << 66} bytes", safe.read_hdf5, tmp_path / "x.hdf5")


def read_or_refuse(read, path):
    try:
        return read(path)
    except CorruptInput as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error) and len(str(error)) < 1000


SIZES = {"<f4": 4, ">i2": 2, "|b1": 1}
KINDS = (*SIZES, "|O", "<U3", "<M8[s]", "<f3", "<c8", "|V0", "<f4,<f4", "\x00", "", "f" * 50)
SHAPES = (
    "(3,)",
    "(1,1,3)",
    "()",
    "(-1,-3)",
    "(0,5)",
    "3",
    "(3",
    "[3]",
    "(True,3)",
    "(1e3,)",
    "(2**99,)",
    "None",
)
SHAPES += ("(" + "1, " * 70 + ")", "(" + "9" * 40 + ",)")


def test_generated_npz_entries_load_or_are_refused_in_a_sentence(tmp_path):
    rng, path, loaded = np.random.default_rng(0), tmp_path / "x.npz", 0

    def pick(options, good):
        return options[rng.integers(good if rng.random() < 0.7 else len(options))]

    for _ in range(400):
        kind, shape, order = pick(KINDS, 3), pick(SHAPES, 2), pick(("True", "False", "0"), 2)
        header = bytearray(f"{{'descr': {kind!r}, 'fortran_order': {order}, 'shape': {shape}}}".encode())
        if rng.random() < 0.4:
            header[rng.integers(len(header))] = rng.integers(256)
        version = pick(((1, 0), (2, 0), (3, 0), (9, 9)), 2)
        write_npy(path, bytes(header), bytes(3 * pick((SIZES.get(kind, 4), 0, 9), 1)), version)
        loaded += read_or_refuse(safe.read_npz, path) is not None
    assert 20 < loaded < 300


def test_generated_hdf5_files_load_or_are_refused_in_a_sentence(tmp_path):
    rng, path, loaded = np.random.default_rng(1), tmp_path / "x.hdf5", 0
    kinds = ["f4", ">i2", "?", "c8", "S3", "f2", h5py.string_dtype(), h5py.ref_dtype, [("a", "f4")]]
    for _ in range(60):
        with h5py.File(path, "w") as file:
            groups = [file]
            for i in range(rng.integers(1, 8)):
                parent = groups[rng.integers(len(groups))]
                what = rng.integers(6)
                if what == 0:
                    groups.append(parent.create_group(f"g{i}"))
                elif what == 1:
                    parent[f"l{i}"] = groups[rng.integers(len(groups))]
                elif what == 2:
                    parent[f"s{i}"] = h5py.SoftLink("/" + "x/" * rng.integers(4))
                elif what == 3:
                    shape = tuple(rng.integers(0, 3, rng.integers(4)))
                    with contextlib.suppress(TypeError):
                        parent.create_dataset(f"d{i}", shape, kinds[rng.integers(len(kinds))])
                else:
                    parent.create_dataset(f"f{i}", data=rng.normal(size=3))
        loaded += read_or_refuse(safe.read_hdf5, path) is not None
        read_or_refuse(safe.names_hdf5, path)
    assert loaded > 5
