# The tree in which every line of lines.txt runs.
umask 022
printf 'hello\nfrom\nbase' > file
printf 'one two\nthree\n' > other
: > empty
printf '#!/bin/sh\n' > run
chmod 755 run
mkdir -p dir/inner full/a/b void
printf 'inner text\n' > dir/inner/text
printf x > dir/x
printf y > dir/.hidden
printf 'deep\n' > full/a/b/c
printf z > full/z
printf h > .hid
ln -s file link
ln -s dir dirlink
ln -s nowhere dangling
ln -s loop loop
ln other hard
printf q > "it's"
printf w > 'a b'
printf n > $'new\nline'
printf u > $'\303\251'
mknod pipe p
mknod null0 c 1 3
head -c 5000 /dev/zero > big
seq 1 30 > lines
chown 1:2 dir/x
chmod 4751 full/z
chmod 1777 void
setfattr -n user.note -v 'a "b"' file
setfattr -n user.bin -v 0x0001ff file
find . -print0 | xargs -0 touch -h -d '2020-02-03 04:05:06.789'
touch -d '2001-09-09 01:46:40' other
