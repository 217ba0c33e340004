# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""What a test guest boots: the distribution's kernel, and an initramfs of busybox and a few of its
modules. The initramfs is not compressed: software emulation would pay for it."""

import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent

# In the order in which they are loaded.
MODULES = ("virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci "
           "virtio_balloon failover net_failover virtio_net virtio_blk").split()


def run(*command, **options):
    """Runs it, gives its output; its complaint is the exception's text."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


def package_of_kernel():
    """The package that linux-image-cloud-amd64 stands for today."""
    for line in run("apt-cache", "depends", "linux-image-cloud-amd64").splitlines():
        kind, _, name = line.strip().partition(": ")
        if kind == "Depends" and name.startswith("linux-image-"):
            return name
    raise RuntimeError("there is no package of a kernel; is apt-get update needed?")


def fetch_kernel(directory):
    """Downloads the kernel's package and unpacks it below the directory; installs nothing."""
    kernels = sorted((directory / "boot").glob("vmlinuz-*"))
    if not kernels:
        directory.mkdir(parents=True, exist_ok=True)
        try:
            run("apt-get", "download", package_of_kernel(), cwd=directory)
        except RuntimeError:  # the lists are missing or old
            run("apt-get", "update")
            run("apt-get", "download", package_of_kernel(), cwd=directory)
        for package in directory.glob("*.deb"):
            run("dpkg", "-x", package, directory)
            package.unlink()
        kernels = sorted((directory / "boot").glob("vmlinuz-*"))
    return kernels[-1]


def build_initramfs(directory, kernel_directory):
    root = directory / "initramfs.d"
    shutil.rmtree(root, ignore_errors=True)
    (root / "bin").mkdir(parents=True)
    (root / "modules").mkdir()
    shutil.copy(shutil.which("busybox"), root / "bin")
    shutil.copy(HERE / "init.sh", root / "init")
    (root / "init").chmod(0o755)
    run("gcc", "-O2", "-static", "-o", root / "bin" / "exact", HERE / "exact.c")
    present = []
    for module in MODULES:
        found = sorted(kernel_directory.glob(f"**/{module}.ko"))
        if found:  # else it is in the kernel
            shutil.copy(found[-1], root / "modules")
            present.append(module)
    (root / "modules" / "order").write_text("\n".join(present) + "\n")
    run("sh", "-c", "find . | cpio -o -H newc --quiet >../initramfs", cwd=root)
    shutil.rmtree(root)
    return directory / "initramfs"
