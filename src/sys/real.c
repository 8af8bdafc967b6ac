// SPDX-License-Identifier: GPL-2.0-or-later
/* The seam onto the real kernel: nothing but the calls, with errno turned into -errno. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/memfd.h>
#include <linux/mempolicy.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bits.h"
#include "sys/sys.h"

static const char *const tree_roots[] = {
	[SYS_TREE_SYS] = "/sys",
	[SYS_TREE_PROC] = "/proc",
	[SYS_TREE_DEV] = "/dev",
};

static int real_open_path(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

static int real_open_under(const char *folder, const char *name, int flags)
{
	char path[PATH_MAX];

	/* A name is one component: it may not lead elsewhere. */
	if (!name || !*name || strchr(name, '/') || !strcmp(name, ".."))
		return -EINVAL;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) >= sizeof(path))
		return -ENAMETOOLONG;
	return real_open_path(path, flags);
}

/* "fd=N": a descriptor somebody else opened. The duplicate is ours; the original stays theirs. */
static int real_open_inherited(const char *name)
{
	char *end;
	long n;
	int fd;

	errno = 0;
	n = strtol(name + 3, &end, 10);
	if (errno || !isdigit((unsigned char)name[3]) || *end || n > INT_MAX)
		return -EINVAL;
	fd = fcntl((int)n, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? -errno : fd;
}

static int real_open_memory(const char *name, unsigned int flags)
{
	int fd = memfd_create(name, MFD_CLOEXEC | flags);

	return fd < 0 ? -errno : fd;
}

/* A second description has flags of its own: O_NONBLOCK on a shared one would outlive us. */
static int real_open_stream(const char *name)
{
	char path[PATH_MAX];
	int fd;

	if (!name[0] || name[strspn(name, "0123456789")])
		return -EINVAL;
	if ((size_t)snprintf(path, sizeof(path), "/proc/self/fd/%s", name) >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int real_open_route(void)
{
	const struct timeval patience = { .tv_sec = 5 };
	const int on = 1;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	/* With the driver's own words in a refusal, and without the request; older kernels give less. */
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static int real_open(struct sys *sys, enum sys_object kind, const char *name)
{
	int fd;

	if (name && !strncmp(name, "fd=", 3))
		return real_open_inherited(name);
	switch (kind) {
	case SYS_KVM:
		return real_open_path("/dev/kvm", O_RDWR);
	case SYS_VFIO_CONTAINER:
		return real_open_path("/dev/vfio/vfio", O_RDWR);
	case SYS_VFIO_GROUP:
		return real_open_under("/dev/vfio", name, O_RDWR);
	case SYS_VFIO_CDEV:
		return real_open_under("/dev/vfio/devices", name, O_RDWR);
	case SYS_IOMMUFD:
		return real_open_path("/dev/iommu", O_RDWR);
	case SYS_FILE_READ:
		return real_open_path(name, O_RDONLY);
	case SYS_FILE_WRITE:
		return real_open_path(name, O_RDWR | O_CREAT);
	case SYS_HUGETLBFS:
		return real_open_memory("guest-ram", MFD_HUGETLB | (unsigned int)atoi(name)
									   << MFD_HUGE_SHIFT);
	case SYS_MEMFD:
		return real_open_memory(name, MFD_ALLOW_SEALING);
	case SYS_STREAM:
		return real_open_stream(name);
	case SYS_DISK_ALONE:
		return real_open_under("/dev", name, O_RDONLY | O_EXCL);
	case SYS_IMAGE_READ:
		return real_open_path(name, O_RDONLY | O_NONBLOCK);
	case SYS_IMAGE_WRITE:
		/* O_EXCL without O_CREAT: a block device only if nothing on the host uses it. */
		return real_open_path(name, O_RDWR | O_EXCL | O_NONBLOCK);
	case SYS_ROUTE:
		return real_open_route();
	case SYS_KERNEL_LOG:
		fd = open("/dev/kmsg", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd >= 0)
			lseek(fd, 0, SEEK_END);
		return fd < 0 ? -errno : fd;
	case SYS_EVENTFD:
		fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		return fd < 0 ? -errno : fd;
	}
	return -EINVAL;
}

static void real_close(struct sys *sys, int fd)
{
	close(fd);
}

static int real_ioctl(struct sys *sys, int fd, unsigned long request, void *arg)
{
	int r = ioctl(fd, request, arg);

	return r < 0 ? -errno : r;
}

#define RETRY(call)                               \
	({                                        \
		ssize_t n_;                       \
		do                                \
			n_ = (call);              \
		while (n_ < 0 && errno == EINTR); \
		n_ < 0 ? -errno : n_;             \
	})

static ssize_t real_read(struct sys *sys, int fd, void *buf, size_t len)
{
	return RETRY(read(fd, buf, len));
}

static ssize_t real_write(struct sys *sys, int fd, const void *buf, size_t len)
{
	return RETRY(write(fd, buf, len));
}

static ssize_t real_pread(struct sys *sys, int fd, void *buf, size_t len, uint64_t offset)
{
	return RETRY(pread(fd, buf, len, (off_t)offset));
}

static ssize_t real_pwrite(struct sys *sys, int fd, const void *buf, size_t len, uint64_t offset)
{
	return RETRY(pwrite(fd, buf, len, (off_t)offset));
}

static ssize_t real_preadv(struct sys *sys, int fd, const struct iovec *iov, unsigned int nr,
			   uint64_t offset)
{
	return RETRY(preadv(fd, iov, (int)nr, (off_t)offset));
}

static ssize_t real_pwritev(struct sys *sys, int fd, const struct iovec *iov, unsigned int nr,
			    uint64_t offset, bool durable)
{
	return RETRY(pwritev2(fd, iov, (int)nr, (off_t)offset, durable ? RWF_DSYNC : 0));
}

static int real_random(struct sys *sys, void *buf, size_t len)
{
	/* As many as 256 come whole, and without waiting once the kernel has begun (getrandom(2)). */
	ssize_t n = RETRY(getrandom(buf, len, 0));

	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : -EIO;
}

static int real_sync(struct sys *sys, int fd)
{
	return (int)RETRY(fdatasync(fd));
}

static int real_allocate(struct sys *sys, int fd, int mode, uint64_t offset, uint64_t len)
{
	return (int)RETRY(fallocate(fd, mode, (off_t)offset, (off_t)len));
}

static int real_image(struct sys *sys, int fd, struct sys_image *image)
{
	struct stat st;
	unsigned int physical;
	int logical;

	if (fstat(fd, &st))
		return -errno;
	*image = (struct sys_image){ .is_block = S_ISBLK(st.st_mode) };
	if (S_ISREG(st.st_mode)) {
		image->size = (uint64_t)st.st_size;
		image->physical_size = (uint32_t)st.st_blksize;
		return 0;
	}
	if (!image->is_block)
		return -EINVAL;
	if (ioctl(fd, BLKGETSIZE64, &image->size) || ioctl(fd, BLKSSZGET, &logical) ||
	    ioctl(fd, BLKPBSZGET, &physical))
		return -errno;
	image->block_size = (uint32_t)logical;
	image->physical_size = physical;
	return 0;
}

static int real_lock_image(struct sys *sys, int fd, bool exclusive)
{
	struct flock lock = {
		.l_type = exclusive ? F_WRLCK : F_RDLCK,
		.l_whence = SEEK_SET,
	};

	return fcntl(fd, F_OFD_SETLK, &lock) ? -errno : 0;
}

static int real_set_direct(struct sys *sys, int fd, bool direct)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = direct ? flags | O_DIRECT : flags & ~O_DIRECT;
	return fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) ? -errno : 0;
}

static int real_size(struct sys *sys, int fd, uint64_t *size)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	*size = (uint64_t)st.st_size;
	return 0;
}

static int real_remove(struct sys *sys, const char *path)
{
	return unlink(path) ? -errno : 0;
}

static int real_truncate(struct sys *sys, int fd, uint64_t size)
{
	return ftruncate(fd, (off_t)size) ? -errno : 0;
}

static int real_lock(struct sys *sys, int fd)
{
	return flock(fd, LOCK_EX | LOCK_NB) ? -errno : 0;
}

static int real_mmap(struct sys *sys, void *hint, size_t len, int prot, int flags, int fd,
		     uint64_t offset, void **out)
{
	void *p = mmap(hint, len, prot, flags, fd, (off_t)offset);

	if (p == MAP_FAILED)
		return -errno;
	*out = p;
	return 0;
}

static void real_munmap(struct sys *sys, void *addr, size_t len)
{
	munmap(addr, len);
}

static int real_madvise(struct sys *sys, void *addr, size_t len, int advice)
{
	return madvise(addr, len, advice) ? -errno : 0;
}

static int real_tree_path(enum sys_tree tree, const char *path, char *buf, size_t size)
{
	if (tree == SYS_TREE_LOG)
		return -ENOENT;
	if ((size_t)snprintf(buf, size, "%s/%s", tree_roots[tree], path) >= size)
		return -ENAMETOOLONG;
	return 0;
}

static int real_tree_open(enum sys_tree tree, const char *path, int flags)
{
	char full[PATH_MAX];
	int err = real_tree_path(tree, path, full, sizeof(full));

	return err ? err : real_open_path(full, flags);
}

/* The log has no file that can be read without waiting at its end: it is asked for whole. */
static ssize_t real_read_log(const char *path, char *buf, size_t size)
{
	int len, n;

	if (strcmp(path, "kernel"))
		return -ENOENT;
	len = klogctl(10 /* SYSLOG_ACTION_SIZE_BUFFER */, NULL, 0);
	if (len < 0)
		return -errno;
	if ((size_t)len > size - 1)
		return -EFBIG;
	n = klogctl(3 /* SYSLOG_ACTION_READ_ALL */, buf, (int)size - 1);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return n;
}

static ssize_t real_read_file(struct sys *sys, enum sys_tree tree, const char *path, void *buf,
			      size_t size)
{
	char *text = buf;
	size_t len = 0;
	ssize_t n;
	int fd;

	if (tree == SYS_TREE_LOG)
		return real_read_log(path, buf, size);
	fd = real_tree_open(tree, path, O_RDONLY);
	if (fd < 0)
		return fd;
	for (;;) {
		char spill;
		bool full = len == size - 1;

		n = RETRY(read(fd, full ? &spill : text + len, full ? 1 : size - 1 - len));
		if (n <= 0)
			break;
		if (full) {
			n = -EFBIG;
			break;
		}
		len += (size_t)n;
	}
	text[len] = '\0';
	close(fd);
	return n < 0 ? n : (ssize_t)len;
}

static int real_write_file(struct sys *sys, enum sys_tree tree, const char *path, const void *data,
			   size_t len)
{
	int fd = real_tree_open(tree, path, O_WRONLY);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = RETRY(write(fd, data, len));
	close(fd);
	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : -EIO;
}

static ssize_t real_read_link(struct sys *sys, enum sys_tree tree, const char *path, char *buf,
			      size_t size)
{
	char full[PATH_MAX];
	int err = real_tree_path(tree, path, full, sizeof(full));
	ssize_t n;

	if (err)
		return err;
	n = readlink(full, buf, size);
	if (n < 0)
		return -errno;
	if ((size_t)n >= size)
		return -ENAMETOOLONG;
	buf[n] = '\0';
	return n;
}

static int real_list(struct sys *sys, enum sys_tree tree, const char *path, sys_list_fn fn,
		     void *opaque)
{
	char full[PATH_MAX];
	struct dirent *entry;
	int err = real_tree_path(tree, path, full, sizeof(full));
	DIR *dir;

	if (err)
		return err;
	dir = opendir(full);
	if (!dir)
		return -errno;
	while (!err && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			err = fn(opaque, entry->d_name);
	closedir(dir);
	return err;
}

static int real_limit(struct sys *sys, enum sys_limit which, uint64_t *soft, uint64_t *hard)
{
	struct rlimit limit;

	if (getrlimit(which == SYS_LIMIT_MEMLOCK ? RLIMIT_MEMLOCK : RLIMIT_NOFILE, &limit))
		return -errno;
	*soft = limit.rlim_cur == RLIM_INFINITY ? SYS_UNLIMITED : limit.rlim_cur;
	*hard = limit.rlim_max == RLIM_INFINITY ? SYS_UNLIMITED : limit.rlim_max;
	return 0;
}

static int real_place(struct sys *sys, const struct sys_cpu_set *cpus, int node, bool strict)
{
	unsigned long nodes[16] = { 0 };
	cpu_set_t *set;
	size_t size = CPU_ALLOC_SIZE(SYS_MAX_CPUS);
	int err = 0;

	if (node >= 0 && (size_t)node >= 8 * sizeof(nodes))
		return -EINVAL;
	set = CPU_ALLOC(SYS_MAX_CPUS);
	if (!set)
		return -ENOMEM;
	CPU_ZERO_S(size, set);
	for (size_t i = 0; i < SYS_MAX_CPUS; i++)
		if (cpus->bits[i / 64] >> (i % 64) & 1)
			CPU_SET_S(i, size, set);
	if (sched_setaffinity(0, size, set))
		err = -errno;
	CPU_FREE(set);
	if (err || node < 0)
		return err;
	nodes[(size_t)node / (8 * sizeof(long))] = 1ul << ((size_t)node % (8 * sizeof(long)));
	if (syscall(SYS_set_mempolicy, strict ? MPOL_BIND : MPOL_PREFERRED, nodes,
		    8 * sizeof(nodes)))
		err = -errno;
	return err;
}

static int real_place_memory(struct sys *sys, void *addr, size_t len, int node)
{
	unsigned long nodes[16] = { 0 };

	if (node < 0 || (size_t)node >= 8 * sizeof(nodes))
		return -EINVAL;
	nodes[(size_t)node / (8 * sizeof(long))] = 1ul << ((size_t)node % (8 * sizeof(long)));
	return syscall(SYS_mbind, addr, len, MPOL_BIND, nodes, 8 * sizeof(nodes), MPOL_MF_MOVE)
		       ? -errno
		       : 0;
}

static const struct sys_ops real_ops = {
	.open = real_open,
	.close = real_close,
	.ioctl = real_ioctl,
	.read = real_read,
	.write = real_write,
	.pread = real_pread,
	.pwrite = real_pwrite,
	.preadv = real_preadv,
	.pwritev = real_pwritev,
	.random = real_random,
	.sync = real_sync,
	.allocate = real_allocate,
	.image = real_image,
	.lock_image = real_lock_image,
	.set_direct = real_set_direct,
	.size = real_size,
	.truncate = real_truncate,
	.remove = real_remove,
	.lock = real_lock,
	.mmap = real_mmap,
	.munmap = real_munmap,
	.madvise = real_madvise,
	.read_file = real_read_file,
	.write_file = real_write_file,
	.read_link = real_read_link,
	.list = real_list,
	.limit = real_limit,
	.place = real_place,
	.place_memory = real_place_memory,
};

struct sys sys_real(void)
{
	return (struct sys){ .ops = &real_ops };
}
