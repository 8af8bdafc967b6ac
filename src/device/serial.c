// SPDX-License-Identifier: GPL-2.0-or-later
#include "device/serial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "base/lock.h"
#include "device/serial_regs.h"

#define SERIAL_STATE_VERSION 1

/* Output waiting for the loop. A power of two. */
#define SERIAL_TX_ROOM 16384u
/* The loop gathers output this long before it writes, unless much has come. */
#define SERIAL_TX_DELAY_NS 1000000ull
/* Or this long, when the guest wants an interrupt for what it wrote: two full FIFOs at 1 Mbaud. */
#define SERIAL_TX_SOON_NS 250000ull
#define SERIAL_TX_URGENT  4096u

struct serial_char {
	uint8_t data;
	uint8_t errors; /* as in LSR */
};

struct serial {
	struct device dev;
	struct platform *platform;
	struct bus_region region;
	unsigned int pin;
	struct character *backend;
	struct loop_timer tx_timer;
	struct loop_work tx_work, rx_work;

	struct lock lock; /* LOCK_DEVICE; everything below */
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t msr_deltas;
	bool overrun;
	bool tx_pending; /* the transmitter's interrupt has not been read away */
	bool tx_raised;	 /* and it drives the pin; else it only shows in IIR */
	bool tx_full;	 /* until half of the buffer is free */
	bool irq;	 /* level of the pin */

	struct serial_char rx[UART_FIFO];
	unsigned int rx_head, rx_count;
	bool rx_more; /* the back end waits for room */

	/*
	 * Free-running indices. Only the loop moves tx_tail, so it may read the bytes up to tx_head
	 * without the lock.
	 */
	uint8_t tx[SERIAL_TX_ROOM];
	uint32_t tx_head, tx_tail;
	bool tx_scheduled; /* the loop will come for it */
	bool tx_soon;	   /* after the shorter of its delays */
	bool tx_urged;	   /* and soon */
	bool tx_blocked;   /* the back end's reader is slow; it will say when it is back */
};

static struct serial *serial_of(struct device *dev)
{
	return container_of(dev, struct serial, dev);
}

static unsigned int serial_rx_depth(const struct serial *s)
{
	return s->fcr & UART_FCR_ENABLE ? UART_FIFO : 1;
}

static unsigned int serial_rx_trigger(const struct serial *s)
{
	static const uint8_t triggers[] = { 1, 4, 8, 14 };

	return s->fcr & UART_FCR_ENABLE ? triggers[FIELD_GET(UART_FCR_TRIGGER, s->fcr)] : 1;
}

static uint8_t serial_lsr(const struct serial *s)
{
	unsigned int lsr = 0;

	if (s->rx_count)
		lsr |= UART_LSR_DATA | s->rx[s->rx_head].errors;
	if (s->overrun)
		lsr |= UART_LSR_OVERRUN;
	if (!s->tx_full)
		lsr |= UART_LSR_THR_EMPTY | UART_LSR_TX_EMPTY;
	for (unsigned int i = 0; s->fcr & UART_FCR_ENABLE && i < s->rx_count; i++) {
		if (s->rx[(s->rx_head + i) % UART_FIFO].errors)
			lsr |= UART_LSR_FIFO_ERROR;
	}
	return (uint8_t)lsr;
}

/* The modem's lines: looped back, or a peer that is there and ready. */
static uint8_t serial_msr_lines(const struct serial *s)
{
	unsigned int lines = 0;

	if (!(s->mcr & UART_MCR_LOOP))
		return UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD;
	lines |= s->mcr & UART_MCR_RTS ? UART_MSR_CTS : 0;
	lines |= s->mcr & UART_MCR_DTR ? UART_MSR_DSR : 0;
	lines |= s->mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0;
	lines |= s->mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0;
	return (uint8_t)lines;
}

/* The most urgent interrupt (table 5). */
static uint8_t serial_iir(const struct serial *s)
{
	if ((s->ier & UART_IER_LINE) && (serial_lsr(s) & UART_LSR_ERRORS))
		return UART_IIR_LINE;
	if ((s->ier & UART_IER_RX) && s->rx_count) {
		/*
		 * Below the trigger level data waits for four silent character times. The wait
		 * serves no one here: fewer than the trigger means that no more is coming.
		 */
		return s->rx_count >= serial_rx_trigger(s) ? UART_IIR_RX : UART_IIR_RX_TIMEOUT;
	}
	if ((s->ier & UART_IER_TX) && s->tx_pending)
		return UART_IIR_TX;
	if ((s->ier & UART_IER_MODEM) && s->msr_deltas)
		return UART_IIR_MODEM;
	return UART_IIR_NONE;
}

/*
 * A PC's port gates the line with OUT2. Drivers set it; small kernels that forget to work all the
 * same on what they are mostly tried on, and so do they here.
 */
static void serial_irq_update_locked(struct serial *s)
{
	uint8_t iir = serial_iir(s);
	bool irq = iir == UART_IIR_TX ? s->tx_raised || ((s->ier & UART_IER_MODEM) && s->msr_deltas)
				      : iir != UART_IIR_NONE;

	if (irq == s->irq)
		return;
	s->irq = irq;
	platform_irq_set(s->platform, s->pin, 0, irq);
}

/* The transmitter is idle, and the guest is to be told so now. */
static void serial_tx_raise_locked(struct serial *s)
{
	s->tx_pending = s->tx_raised = true;
}

static bool serial_rx_push_locked(struct serial *s, uint8_t data, uint8_t errors)
{
	if (s->rx_count >= serial_rx_depth(s))
		return false;
	s->rx[(s->rx_head + s->rx_count) % UART_FIFO] =
		(struct serial_char){ .data = data, .errors = errors };
	s->rx_count++;
	return true;
}

/* Asks the back end for more, off this thread. */
static void serial_rx_refill_locked(struct serial *s)
{
	if (!s->rx_more || s->rx_count > serial_rx_depth(s) / 2 || (s->mcr & UART_MCR_LOOP))
		return;
	s->rx_more = false;
	loop_post(s->platform->loop, &s->rx_work);
}

static void serial_rx_resume(void *opaque)
{
	struct serial *s = opaque;

	s->backend->ops->resume(s->backend);
}

static uint8_t serial_rx_read_locked(struct serial *s)
{
	uint8_t data;

	/* An empty FIFO gives its last character again; nobody may rely on it. */
	if (!s->rx_count)
		return s->rx[(s->rx_head + UART_FIFO - 1) % UART_FIFO].data;
	data = s->rx[s->rx_head].data;
	s->rx_head = (s->rx_head + 1) % UART_FIFO;
	s->rx_count--;
	serial_rx_refill_locked(s);
	return data;
}

static size_t serial_receive(void *opaque, const void *data, size_t len)
{
	struct serial *s = opaque;
	const uint8_t *bytes = data;
	size_t n = 0;

	lock_take(&s->lock);
	/* In loopback the input pin is cut off. */
	if (!(s->mcr & UART_MCR_LOOP)) {
		while (n < len && serial_rx_push_locked(s, bytes[n], 0))
			n++;
	}
	s->rx_more = n < len;
	serial_irq_update_locked(s);
	lock_drop(&s->lock);
	return n;
}

/* A break is a zero character with BREAK and FRAMING (8.6.4). */
static void serial_receive_break(void *opaque)
{
	struct serial *s = opaque;

	lock_take(&s->lock);
	if (!(s->mcr & UART_MCR_LOOP))
		serial_rx_push_locked(s, 0, UART_LSR_BREAK | UART_LSR_FRAMING);
	serial_irq_update_locked(s);
	lock_drop(&s->lock);
}

static uint32_t serial_tx_used(const struct serial *s)
{
	return s->tx_head - s->tx_tail;
}

/* On the loop: gives the back end what there is. */
static void serial_tx_drain(struct serial *s)
{
	lock_take(&s->lock);
	s->tx_scheduled = s->tx_soon = s->tx_urged = false;
	while (!s->tx_blocked && serial_tx_used(s)) {
		uint32_t at = s->tx_tail % SERIAL_TX_ROOM;
		size_t len = min_u64(serial_tx_used(s), SERIAL_TX_ROOM - at);
		size_t n = len;

		lock_drop(&s->lock);
		if (s->backend)
			n = s->backend->ops->write(s->backend, s->tx + at, len);
		lock_take(&s->lock);
		s->tx_tail += (uint32_t)n;
		s->tx_blocked = n < len;
	}
	if (s->tx_full && serial_tx_used(s) <= SERIAL_TX_ROOM / 2) {
		s->tx_full = false;
		s->tx_pending = true;
	}
	if (s->tx_pending)
		serial_tx_raise_locked(s);
	serial_irq_update_locked(s);
	lock_drop(&s->lock);
}

static void serial_tx_fire(void *opaque)
{
	serial_tx_drain(opaque);
}

static void serial_writable(void *opaque)
{
	struct serial *s = opaque;

	lock_take(&s->lock);
	s->tx_blocked = false;
	lock_drop(&s->lock);
	serial_tx_drain(s);
}

/* Sees to it that the loop comes for the output. */
static void serial_tx_schedule_locked(struct serial *s)
{
	bool soon = s->ier & UART_IER_TX;

	if (s->tx_blocked)
		return;
	if (!s->tx_scheduled || (soon && !s->tx_soon)) {
		s->tx_scheduled = true;
		s->tx_soon = soon;
		loop_timer_set(&s->tx_timer,
			       loop_now_ns() + (soon ? SERIAL_TX_SOON_NS : SERIAL_TX_DELAY_NS));
	}
	if (!s->tx_urged && serial_tx_used(s) >= SERIAL_TX_URGENT) {
		s->tx_urged = true;
		loop_post(s->platform->loop, &s->tx_work);
	}
}

static void serial_tx_push_locked(struct serial *s, uint8_t data)
{
	/* Written although the transmitter said it was busy: lost, as in the chip. */
	if (s->tx_full)
		return;
	s->tx[s->tx_head++ % SERIAL_TX_ROOM] = data;
	s->tx_full = serial_tx_used(s) == SERIAL_TX_ROOM;
	/*
	 * There is room again at once, and a driver that looks for more to do before it leaves its
	 * handler finds so in IIR. But the pin waits for the loop: were it driven now, each handler
	 * that writes something would be followed by one that finds nothing.
	 */
	s->tx_pending = !s->tx_full;
	s->tx_raised = false;
	serial_tx_schedule_locked(s);
}

static void serial_data_write_locked(struct serial *s, uint8_t data)
{
	if (!(s->mcr & UART_MCR_LOOP)) {
		serial_tx_push_locked(s, data);
		return;
	}
	if (!serial_rx_push_locked(s, data, 0))
		s->overrun = true;
	if (!s->tx_full)
		serial_tx_raise_locked(s);
}

static void serial_ier_write_locked(struct serial *s, uint8_t ier)
{
	/*
	 * Enabling the transmitter's interrupt while it is idle raises it (8.6.2); Linux tests for
	 * chips that do not. Writing the same again does nothing.
	 */
	if ((ier & ~s->ier & UART_IER_TX) && !s->tx_full)
		serial_tx_raise_locked(s);
	s->ier = ier & UART_IER_ALL;
}

static void serial_fcr_write_locked(struct serial *s, uint8_t fcr)
{
	/* Switching between the modes empties both FIFOs; so do the bits that say so (8.6.6). */
	if (((s->fcr ^ fcr) & UART_FCR_ENABLE) || (fcr & UART_FCR_CLEAR_RX)) {
		s->rx_count = 0;
		s->overrun = false;
		serial_rx_refill_locked(s);
	}
	if ((fcr & UART_FCR_CLEAR_TX) && !s->tx_full)
		serial_tx_raise_locked(s);
	/* The others are only heard together with ENABLE. */
	s->fcr = fcr & UART_FCR_ENABLE ? fcr & (UART_FCR_ENABLE | UART_FCR_DMA | UART_FCR_TRIGGER)
				       : 0;
}

static void serial_mcr_write_locked(struct serial *s, uint8_t mcr)
{
	uint8_t before = serial_msr_lines(s), after;

	s->mcr = mcr & UART_MCR_ALL;
	after = serial_msr_lines(s);
	s->msr_deltas |= (uint8_t)((before ^ after) >> 4 & ~UART_MSR_TRAILING_RI);
	if (before & ~after & UART_MSR_RI)
		s->msr_deltas |= UART_MSR_TRAILING_RI;
	serial_rx_refill_locked(s);
}

static uint8_t serial_reg_read_locked(struct serial *s, unsigned int reg)
{
	bool dlab = s->lcr & UART_LCR_DLAB;
	uint8_t value;

	switch (reg) {
	case UART_DATA:
		return dlab ? s->dll : serial_rx_read_locked(s);
	case UART_IER:
		return dlab ? s->dlm : s->ier;
	case UART_IIR:
		value = serial_iir(s);
		if (value == UART_IIR_TX)
			s->tx_pending = s->tx_raised = false;
		return value | (s->fcr & UART_FCR_ENABLE ? UART_IIR_FIFO : 0);
	case UART_LCR:
		return s->lcr;
	case UART_MCR:
		return s->mcr;
	case UART_LSR:
		value = serial_lsr(s);
		s->overrun = false;
		if (s->rx_count)
			s->rx[s->rx_head].errors = 0;
		return value;
	case UART_MSR:
		value = serial_msr_lines(s) | s->msr_deltas;
		s->msr_deltas = 0;
		return value;
	default:
		return s->scr;
	}
}

static void serial_reg_write_locked(struct serial *s, unsigned int reg, uint8_t value)
{
	bool dlab = s->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_DATA:
		if (dlab)
			s->dll = value;
		else
			serial_data_write_locked(s, value);
		break;
	case UART_IER:
		if (dlab)
			s->dlm = value;
		else
			serial_ier_write_locked(s, value);
		break;
	case UART_FCR:
		serial_fcr_write_locked(s, value);
		break;
	case UART_LCR:
		s->lcr = value;
		break;
	case UART_MCR:
		serial_mcr_write_locked(s, value);
		break;
	case UART_SCR:
		s->scr = value;
		break;
	default:
		/* LSR and MSR are for factory tests. */
		break;
	}
}

/* A wide access to an 8-bit device is one of each byte, low port first. */
static uint64_t serial_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct serial *s = opaque;
	uint64_t value = 0;

	lock_take(&s->lock);
	for (unsigned int i = 0; i < size; i++)
		value |= (uint64_t)serial_reg_read_locked(s, (unsigned int)offset + i) << 8 * i;
	serial_irq_update_locked(s);
	lock_drop(&s->lock);
	return value;
}

static void serial_write(void *opaque, uint64_t offset, unsigned int size, uint64_t value)
{
	struct serial *s = opaque;

	lock_take(&s->lock);
	for (unsigned int i = 0; i < size; i++)
		serial_reg_write_locked(s, (unsigned int)offset + i, (uint8_t)(value >> 8 * i));
	serial_irq_update_locked(s);
	lock_drop(&s->lock);
}

static const struct bus_region_ops serial_region_ops = {
	.read = serial_read,
	.write = serial_write,
};

static const struct character_frontend serial_frontend = {
	.receive = serial_receive,
	.receive_break = serial_receive_break,
	.writable = serial_writable,
};

/* Output that has left the guest stays on its way. */
static void serial_reset_locked(struct serial *s)
{
	s->ier = s->fcr = s->lcr = s->mcr = s->scr = 0;
	s->dll = 0x0c; /* 9600 baud; the chip leaves it undefined */
	s->dlm = 0;
	s->msr_deltas = 0;
	s->overrun = false;
	s->tx_pending = s->tx_raised = false;
	s->rx_head = s->rx_count = 0;
	serial_rx_refill_locked(s);
}

static void serial_reset(struct device *dev)
{
	struct serial *s = serial_of(dev);

	lock_take(&s->lock);
	serial_reset_locked(s);
	serial_irq_update_locked(s);
	lock_drop(&s->lock);
}

/* What the guest has said is to be read before what we say of its end. */
static void serial_quiesce(struct device *dev)
{
	struct serial *s = serial_of(dev);

	serial_tx_drain(s);
	lock_take(&s->lock);
	while (serial_tx_used(s)) {
		uint32_t at = s->tx_tail % SERIAL_TX_ROOM;
		size_t len = min_u64(serial_tx_used(s), SERIAL_TX_ROOM - at);

		lock_drop(&s->lock);
		s->backend->ops->flush(s->backend, s->tx + at, len);
		lock_take(&s->lock);
		s->tx_tail += (uint32_t)len;
	}
	if (s->tx_full) {
		s->tx_full = false;
		serial_tx_raise_locked(s);
		serial_irq_update_locked(s);
	}
	lock_drop(&s->lock);
}

static void serial_save(struct device *dev, struct state_writer *w)
{
	struct serial *s = serial_of(dev);

	lock_take(&s->lock);
	state_begin(w, dev->name, SERIAL_STATE_VERSION);
	state_put_u8(w, s->ier);
	state_put_u8(w, s->fcr);
	state_put_u8(w, s->lcr);
	state_put_u8(w, s->mcr);
	state_put_u8(w, s->scr);
	state_put_u8(w, s->dll);
	state_put_u8(w, s->dlm);
	state_put_u8(w, s->msr_deltas);
	state_put_u8(w, s->overrun);
	state_put_u8(w, s->tx_pending);
	state_put_u8(w, (uint8_t)s->rx_count);
	for (unsigned int i = 0; i < s->rx_count; i++) {
		const struct serial_char *c = &s->rx[(s->rx_head + i) % UART_FIFO];

		state_put_u8(w, c->data);
		state_put_u8(w, c->errors);
	}
	/* Output is no state of the guest's: quiesce has written it here. */
	state_end(w);
	lock_drop(&s->lock);
}

static int serial_load(struct device *dev, struct state_reader *r)
{
	struct serial *s = serial_of(dev);
	struct serial_char rx[UART_FIFO] = { 0 };
	uint8_t regs[10], count;

	state_enter(r, dev->name, SERIAL_STATE_VERSION);
	state_get_bytes(r, regs, sizeof(regs));
	count = state_get_u8(r);
	if (!r->err && count > (regs[1] & UART_FCR_ENABLE ? UART_FIFO : 1))
		r->err = -EPROTO;
	for (unsigned int i = 0; i < count && !r->err; i++) {
		rx[i].data = state_get_u8(r);
		rx[i].errors = state_get_u8(r) & UART_LSR_ERRORS;
	}
	state_leave(r);
	if (state_reader_status(r))
		return state_reader_status(r);

	lock_take(&s->lock);
	s->ier = regs[0] & UART_IER_ALL;
	s->fcr = regs[1] & (UART_FCR_ENABLE | UART_FCR_DMA | UART_FCR_TRIGGER);
	s->lcr = regs[2];
	s->mcr = regs[3] & UART_MCR_ALL;
	s->scr = regs[4];
	s->dll = regs[5];
	s->dlm = regs[6];
	s->msr_deltas = regs[7] & UART_MSR_DELTAS;
	s->overrun = regs[8];
	s->tx_pending = s->tx_raised = regs[9] && !s->tx_full;
	memcpy(s->rx, rx, sizeof(rx));
	s->rx_head = 0;
	s->rx_count = count;
	serial_irq_update_locked(s);
	lock_drop(&s->lock);
	return 0;
}

static void serial_destroy(struct device *dev)
{
	struct serial *s = serial_of(dev);

	platform_region_remove(s->platform, &s->region);
	platform_synchronize(s->platform);
	serial_quiesce(dev);
	if (s->backend)
		character_attach(s->backend, NULL, NULL);
	loop_timer_fini(s->platform->loop, &s->tx_timer);
	loop_cancel(s->platform->loop, &s->tx_work);
	loop_cancel(s->platform->loop, &s->rx_work);
	if (s->irq)
		platform_irq_set(s->platform, s->pin, 0, false);
	lock_fini(&s->lock);
	free(s);
}

static const struct device_ops serial_device_ops = {
	.reset = serial_reset,
	.quiesce = serial_quiesce,
	.save = serial_save,
	.load = serial_load,
	.destroy = serial_destroy,
};

int serial_create(struct platform *platform, const struct serial_config *config,
		  struct device **out)
{
	struct serial *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->dev.ops = &serial_device_ops;
	snprintf(s->dev.name, sizeof(s->dev.name), "%s", config->name ? config->name : "serial0");
	s->platform = platform;
	s->pin = config->pin;
	s->backend = config->backend;
	s->tx_work = (struct loop_work){ .fn = serial_tx_fire, .opaque = s };
	s->rx_work = (struct loop_work){ .fn = serial_rx_resume, .opaque = s };
	lock_init(&s->lock, LOCK_DEVICE);
	serial_reset_locked(s);
	err = loop_timer_init(platform->loop, &s->tx_timer, serial_tx_fire, s);
	if (err)
		goto err_free;
	s->region = (struct bus_region){
		.name = s->dev.name,
		.space = BUS_PIO,
		.range = range_of(config->port, SERIAL_PORTS),
		.ops = &serial_region_ops,
		.opaque = s,
	};
	err = platform_region_add(platform, &s->region);
	if (err)
		goto err_timer;
	if (s->backend)
		character_attach(s->backend, &serial_frontend, s);
	*out = &s->dev;
	return 0;

err_timer:
	loop_timer_fini(platform->loop, &s->tx_timer);
err_free:
	lock_fini(&s->lock);
	free(s);
	return err;
}
