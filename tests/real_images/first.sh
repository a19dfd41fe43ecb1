# The first round of changes to a root file system of Debian: of each kind that a layer can hold.
# Usage: sh -eu first.sh ROOT
cd "$1"

# Gone: files, a directory with all that is in it, a symbolic link, one of two names of a file, a device.
rm etc/debian_version usr/share/pixmaps/debian-logo.png
rm -r usr/share/perl5
rm usr/bin/awk
rm usr/bin/gunzip
rm dev/full

# Gone and there again, with other things in it: an opaque directory.
rm -r usr/share/common-licenses
mkdir usr/share/common-licenses
echo 'one licence' > usr/share/common-licenses/ONE

# Another kind of file under the same name.
rm etc/issue && mkdir etc/issue && echo inside > etc/issue/inside
rm -r usr/share/menu && ln -s doc usr/share/menu
rm etc/os-release && cp usr/lib/os-release etc/os-release
rm etc/issue.net && mkfifo etc/issue.net

# Attributes alone.
chmod 4711 usr/bin/id
chmod 2775 srv
chmod 0 etc/group-
chown 1234:5678 etc/hostname
chown -h 1:2 usr/bin/sh
chown 3000000000:2097152 home
touch -d @123456789.987654321 etc/passwd
touch -d '1969-07-20 20:17:40' etc/group
touch -d '2038-01-19 03:14:08' etc/shells
touch -h -d @1 bin

# Contents: longer, empty, another of the same size, a hole.
echo 'handroll:x:1000:1000::/:/bin/sh' >> etc/passwd
: > etc/bash.bashrc
tr a-z A-Z < etc/profile > etc/profile.new && cat etc/profile.new > etc/profile && rm etc/profile.new
truncate -s 3000000 opt/holes
echo end >> opt/holes

# Hard links: new ones, one more name for a file of the layer below, a change through one of two names.
echo one > opt/one && ln opt/one opt/two && mkdir opt/deep && ln opt/one opt/deep/three
ln etc/fstab etc/fstab-too
echo '# changed' >> usr/bin/uncompress

# What is no file of bytes.
mknod dev/handroll-char c 10 200
mknod dev/handroll-block b 259 1000000
mkfifo -m 620 run/pipe
ln -s /nowhere/at/all opt/dangling
ln -s "$(printf '%0150d' 0)" opt/long-target

# Extended attributes, capabilities and an access control list.
setfattr -n user.note -v 'a = b' opt/one
setfattr -n user.bytes -v 0x00ff0a3d opt/holes
setfattr -n user.here -v directory opt/deep
cp usr/bin/true opt/privileged && setcap cap_net_bind_service,cap_chown+ep opt/privileged
setfattr -n system.posix_acl_access \
    -v 0x0200000001000700ffffffff020007000700000004000500ffffffff10000700ffffffff20000500ffffffff opt/deep

# Names.
cd opt
for name in ' ' '-n' 'a\b' '*' '%n' 'ümläut' '日本語' "$(printf 'new\nline')" "$(printf 'latin\351')" .whatever; do
    echo "$name" > "names $name"
done
long=$(printf '%0120d' 0)
mkdir -p "$long/$long/$long" && echo deep > "$long/$long/$long/file" && ln "$long/$long/$long/file" "$long/link"
