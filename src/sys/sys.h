/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam to the kernel. Every call that can fail and whose failure somebody must handle goes
 * through one of these, so that a test can stand in for KVM, VFIO, iommufd or sysfs and make any
 * of them fail. The seam decides nothing: it passes calls on and turns errno into -errno.
 *
 * A host object is opened by kind and name, in one call; so a process with the rights can stand
 * behind the seam and hand descriptors over, and a name of the form "fd=N" takes a descriptor that
 * was inherited (it is duplicated: the caller always owns what open() returns).
 *
 * All functions may be called from any thread. Descriptors are close-on-exec.
 */
#ifndef AIRLOCK_SYS_SYS_H
#define AIRLOCK_SYS_SYS_H

#include <sys/uio.h>

#include "base/types.h"

struct sys;

/* What a name given to sys_open() means. */
enum sys_object {
	SYS_KVM,	    /* /dev/kvm; name unused */
	SYS_VFIO_CONTAINER, /* /dev/vfio/vfio; name unused */
	SYS_VFIO_GROUP,	    /* name: group number, or "noiommu-N" */
	SYS_VFIO_CDEV,	    /* name: "vfioN" */
	SYS_IOMMUFD,	    /* /dev/iommu; name unused */
	SYS_FILE_READ,	    /* name: a path of the user's, opened read-only */
	SYS_FILE_WRITE,	    /* name: a path of the user's, read-write, made if missing */
	SYS_HUGETLBFS,	    /* name: log2 of the page size: an unlinked huge-page file descriptor */
	SYS_MEMFD,	    /* name: label; a sealable memory file */
	SYS_EVENTFD,	    /* non-blocking, counter 0; name unused */
	SYS_KERNEL_LOG,	    /* from now on, non-blocking: each read is one record; name unused */
	/* name: number of a descriptor on a terminal or pipe; the same, to write without blocking */
	SYS_STREAM,
	/* name: "nvme0n1": the disk, read-only and alone; -EBUSY while the kernel holds it or a part */
	SYS_DISK_ALONE,
	/* name: path of a disk image or block device, which must be there; to write: alone */
	SYS_IMAGE_READ,
	SYS_IMAGE_WRITE,
	/*
	 * The kernel's network configuration (rtnetlink(7)); name unused. One write() is one request,
	 * one read() its answer, which the kernel has ready by then; a read waits five seconds at most.
	 */
	SYS_ROUTE,
};

/* What stands behind a descriptor of an image. */
struct sys_image {
	bool is_block;		/* a block device, else a regular file */
	uint64_t size;		/* bytes */
	uint32_t block_size;	/* of a block device: logical, and below physical; 0 for a file */
	uint32_t physical_size; /* for a file what the file system prefers */
};

/* Trees of small text files. Paths are relative: "bus/pci/devices", "meminfo". */
enum sys_tree {
	SYS_TREE_SYS,  /* /sys */
	SYS_TREE_PROC, /* /proc */
	SYS_TREE_DEV,  /* /dev: list only */
	SYS_TREE_LOG,  /* the kernel's log: one file, "kernel"; read only */
};

enum sys_limit { SYS_LIMIT_MEMLOCK, SYS_LIMIT_NOFILE };

/* No limit, as RLIM_INFINITY. */
#define SYS_UNLIMITED UINT64_MAX

/* Called once per entry of a folder (not "." and ".."); non-zero stops the walk. */
typedef int (*sys_list_fn)(void *opaque, const char *name);

/* Most CPUs the kernel can be built for on x86. */
#define SYS_MAX_CPUS 8192

struct sys_cpu_set {
	uint64_t bits[SYS_MAX_CPUS / 64];
};

struct sys_ops {
	/* Returns a descriptor the caller owns, or -errno. */
	int (*open)(struct sys *sys, enum sys_object kind, const char *name);
	/* Never fails in a way a caller could act on. */
	void (*close)(struct sys *sys, int fd);
	/* The ioctl's own value (>= 0), or -errno. */
	int (*ioctl)(struct sys *sys, int fd, unsigned long request, void *arg);
	/* Bytes moved (may be short), or -errno. -EINTR is retried inside. */
	ssize_t (*read)(struct sys *sys, int fd, void *buf, size_t len);
	ssize_t (*write)(struct sys *sys, int fd, const void *buf, size_t len);
	ssize_t (*pread)(struct sys *sys, int fd, void *buf, size_t len, uint64_t offset);
	ssize_t (*pwrite)(struct sys *sys, int fd, const void *buf, size_t len, uint64_t offset);
	/* As preadv(2), pwritev2(2): bytes moved (may be short), or -errno. durable: RWF_DSYNC. */
	ssize_t (*preadv)(struct sys *sys, int fd, const struct iovec *iov, unsigned int nr,
			  uint64_t offset);
	ssize_t (*pwritev)(struct sys *sys, int fd, const struct iovec *iov, unsigned int nr,
			   uint64_t offset, bool durable);
	/* Fills buf with the kernel's randomness, up to 256 bytes: 0 or -errno. */
	int (*random)(struct sys *sys, void *buf, size_t len);
	/* fdatasync(2). */
	int (*sync)(struct sys *sys, int fd);
	/* fallocate(2). */
	int (*allocate)(struct sys *sys, int fd, int mode, uint64_t offset, uint64_t len);
	/* 0; -EINVAL for what is neither a regular file nor a block device. */
	int (*image)(struct sys *sys, int fd, struct sys_image *image);
	/*
	 * Locks the whole of it for this open file (OFD lock), against writers or against all,
	 * without waiting: 0, or -EAGAIN; -EACCES from a kernel that was built without locks. It
	 * ends with the last descriptor of it.
	 */
	int (*lock_image)(struct sys *sys, int fd, bool exclusive);
	/* Past the page cache from now on; -EINVAL where the file system cannot. */
	int (*set_direct)(struct sys *sys, int fd, bool direct);
	/* Size of the file behind fd. */
	int (*size)(struct sys *sys, int fd, uint64_t *size);
	int (*truncate)(struct sys *sys, int fd, uint64_t size);
	/* Removes a file of the user's, by its path. */
	int (*remove)(struct sys *sys, const char *path);
	/*
	 * Takes the file's one exclusive lock without waiting: 0, or -EAGAIN while another holder
	 * has it. It ends with the descriptor, and so with its holder, however that dies.
	 */
	int (*lock)(struct sys *sys, int fd);
	/* As mmap(2); *out is untouched on error. */
	int (*mmap)(struct sys *sys, void *hint, size_t len, int prot, int flags, int fd,
		    uint64_t offset, void **out);
	void (*munmap)(struct sys *sys, void *addr, size_t len);
	int (*madvise)(struct sys *sys, void *addr, size_t len, int advice);
	/*
	 * Reads a whole small file; the text is always NUL-terminated (so at most size - 1 bytes).
	 * Returns the bytes read; -EFBIG when the file has more.
	 */
	ssize_t (*read_file)(struct sys *sys, enum sys_tree tree, const char *path, void *buf,
			     size_t size);
	/* Writes the whole of data with one write(2), as sysfs wants it. */
	int (*write_file)(struct sys *sys, enum sys_tree tree, const char *path, const void *data,
			  size_t len);
	/* The link's text, NUL-terminated. Returns its length; -ENAMETOOLONG when cut. */
	ssize_t (*read_link)(struct sys *sys, enum sys_tree tree, const char *path, char *buf,
			     size_t size);
	/* 0, what fn returned, or -errno. The order is unspecified. */
	int (*list)(struct sys *sys, enum sys_tree tree, const char *path, sys_list_fn fn,
		    void *opaque);
	int (*limit)(struct sys *sys, enum sys_limit which, uint64_t *soft, uint64_t *hard);
	/*
	 * Keeps the calling thread, and those it will create, on these CPUs, and takes their memory
	 * from this NUMA node: only from it where strict, else from it first. Node -1: from where it
	 * came before.
	 */
	int (*place)(struct sys *sys, const struct sys_cpu_set *cpus, int node, bool strict);
	/*
	 * Takes the memory of [addr, addr + len) from this NUMA node alone; what is there already
	 * moves. Whole pages of the mapping.
	 */
	int (*place_memory)(struct sys *sys, void *addr, size_t len, int node);
};

struct sys {
	const struct sys_ops *ops;
	void *ctx; /* the fake's own state; NULL for the real kernel */
};

/* The real kernel. */
struct sys sys_real(void);

static inline int sys_open(struct sys *sys, enum sys_object kind, const char *name)
{
	return sys->ops->open(sys, kind, name);
}

/* Closes *fd if it is open and sets it to -1. */
static inline void sys_close(struct sys *sys, int *fd)
{
	if (*fd >= 0)
		sys->ops->close(sys, *fd);
	*fd = -1;
}

static inline int sys_ioctl(struct sys *sys, int fd, unsigned long request, void *arg)
{
	return sys->ops->ioctl(sys, fd, request, arg);
}

/* For ioctls whose argument is a plain number. */
static inline int sys_ioctl_value(struct sys *sys, int fd, unsigned long request, uintptr_t value)
{
	return sys->ops->ioctl(sys, fd, request, (void *)value);
}

static inline ssize_t sys_read_file(struct sys *sys, enum sys_tree tree, const char *path,
				    void *buf, size_t size)
{
	return sys->ops->read_file(sys, tree, path, buf, size);
}

/* A text file, trailing white space removed. 0 or -errno. */
int sys_read_text(struct sys *sys, enum sys_tree tree, const char *path, char *buf, size_t size);

/* A file that holds one number, decimal or 0x-hexadecimal. 0, -errno, -EINVAL if it is not one. */
int sys_read_number(struct sys *sys, enum sys_tree tree, const char *path, uint64_t *value);

/* The last component of a link's target: "../../drivers/vfio-pci" -> "vfio-pci". 0 or -errno. */
int sys_read_link_name(struct sys *sys, enum sys_tree tree, const char *path, char *buf,
		       size_t size);

/* Reads or writes exactly len bytes: 0, -errno, -EIO when it ends short. */
int sys_pread_full(struct sys *sys, int fd, void *buf, size_t len, uint64_t offset);
int sys_pwrite_full(struct sys *sys, int fd, const void *buf, size_t len, uint64_t offset);

#endif
