# SPDX-License-Identifier: GPL-2.0-or-later
#
# The VM lane: Debian's own kernel under qemu's software emulation (KVM is neither needed nor used), an initramfs made
# from busybox and the programs under test with their libraries, one boot per test.
#
#       vm_kernel                       makes $VM_KERNEL and $VM_MODULES (kept by version, for all checkouts of a machine)
#       vm_tree DIR                     a root with busybox and /init in DIR
#       vm_add DIR PROGRAM...           programs into /bin of it, with the libraries that they load
#       vm_module DIR NAME...           modules, loaded by /init in this order
#       vm_run DIR LOG                  boots it: /test is run; the status is what it ended with
#
# A guest's result is an odd status of qemu (isa-debug-exit); 0 and 124 mean that the machine broke down or hung: such a
# boot is repeated once.

VM_DIR=${VM_DIR:-/var/cache/gantry-tests/vm}
VM_TIMEOUT=${VM_TIMEOUT:-120}

vm_fail() { echo "vm: $*" >&2; return 1; }

# The version changes; the meta package knows it. A list that was never fetched is fetched.
vm_package() {
        local name
        name=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-6\.1[^ ]*\)$/\1/p' | head -n 1)
        if [ -z "$name" ]; then
                apt-get -q update >&2 || return 1
                name=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-6\.1[^ ]*\)$/\1/p' | head -n 1)
        fi
        [ -n "$name" ] && echo "$name"
}

vm_fetch() {
        local package=$1 tmp=$VM_DIR/tmp.$$
        rm -rf "$tmp" && mkdir -p "$tmp" || return 1
        (cd "$tmp" && { apt-get -q -o APT::Sandbox::User=root download "$package" ||
                { apt-get -q update && apt-get -q -o APT::Sandbox::User=root download "$package"; } } >&2 &&
                dpkg-deb -x ./*.deb tree && rm -f ./*.deb) || { rm -rf "$tmp"; return 1; }
        rm -rf "${VM_DIR:?}/$package" && mv "$tmp/tree" "$VM_DIR/$package" && rm -rf "$tmp"
}

# The newest of those that were fetched before.
vm_kept() { find "$VM_DIR" -mindepth 2 -maxdepth 2 -path '*/linux-image-6.1*/boot' | sort -V | tail -n 1 | sed 's|/boot$||; s|.*/||'; }

vm_kernel() {
        local package
        package=$(vm_package)
        mkdir -p "$VM_DIR" || return 1
        if [ -z "$package" ] || ! (flock 9; [ -d "$VM_DIR/$package/boot" ] || vm_fetch "$package") 9>"$VM_DIR/lock"; then
                package=$(vm_kept)
                [ -n "$package" ] || { vm_fail "Debian's 6.1 cloud kernel is not in the package lists, or could not be fetched"; return 1; }
                echo "vm: Debian's archive is out of reach: $package, fetched before, is taken" >&2
        fi
        VM_KERNEL=$(echo "$VM_DIR/$package"/boot/vmlinuz-*)
        VM_MODULES=$(echo "$VM_DIR/$package"/lib/modules/*)
        [ -f "$VM_KERNEL" ] && [ -d "$VM_MODULES" ]
}

vm_tree() {
        local dir=$1
        mkdir -p "$dir"/{bin,sbin,proc,sys,dev,tmp,run,etc,lib,root,modules} && ln -sfn lib "$dir/lib64" &&
                cp /bin/busybox "$dir/bin/busybox" && cp "$T_ROOT/tests/vm/init" "$dir/init" && chmod 755 "$dir/init" &&
                cp "$T_RELEASE/tests/vm/vm-exit" "$dir/bin/vm-exit" && : >"$dir/modules/order"
}

# Libraries go where the loader looks for them first: /lib, and the loader itself under the path in the program.
vm_add() {
        local dir=$1 program lib
        shift
        for program in "$@"; do
                cp "$program" "$dir/bin/" || return 1
                ldd "$program" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*ld-linux[^ ]*\) .*/\1/p' | sort -u |
                        while read -r lib; do
                                [ -e "$dir/lib/$(basename "$lib")" ] || cp -L "$lib" "$dir/lib/$(basename "$lib")" || exit 1
                        done || return 1
        done
}

vm_module() {
        local dir=$1 name file
        shift
        for name in "$@"; do
                file=$(find "$VM_MODULES" -name "$name.ko" | head -n 1)
                [ -n "$file" ] || { vm_fail "the kernel has no module $name"; return 1; }
                cp "$file" "$dir/modules/" && echo "$name.ko" >>"$dir/modules/order"
        done
}

vm_boot() {
        timeout -k 5 "$VM_TIMEOUT" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m 768 -smp 1 -nodefaults -display none \
                -serial stdio -monitor none -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=0x04 \
                -kernel "$VM_KERNEL" -initrd "$1" -append "console=ttyS0 quiet mitigations=off cryptomgr.notests no_timer_check \
init_on_alloc=0 panic=-1 rdinit=/init" </dev/null >"$2" 2>&1
}

vm_run() {
        local dir=$1 log=$2 image=$1.cpio status try
        (cd "$dir" && find . | busybox cpio -o -H newc) >"$image" 2>/dev/null || { vm_fail "no initramfs"; return 1; }
        for try in 1 2; do
                vm_boot "$image" "$log"
                status=$?
                [ $status = 0 ] || [ $status = 124 ] || [ $status = 137 ] || break
                vm_fail "boot $try ended with status $status"
        done
        rm -f "$image"
        [ $((status & 1)) = 1 ] || return 1
        return $((status >> 1))
}
