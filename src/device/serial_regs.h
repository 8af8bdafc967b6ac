/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PC16550D (National Semiconductor, 1995), section 8, tables 2 to 5. */
#ifndef AIRLOCK_DEVICE_SERIAL_REGS_H
#define AIRLOCK_DEVICE_SERIAL_REGS_H

#include "base/bits.h"

#define UART_DATA	     0 /* RBR, THR; DLAB: divisor, low */
#define UART_IER	     1 /* DLAB: divisor, high */
#define UART_IER_RX	     BIT(0)
#define UART_IER_TX	     BIT(1)
#define UART_IER_LINE	     BIT(2)
#define UART_IER_MODEM	     BIT(3)
#define UART_IER_ALL	     GENMASK(3, 0)
#define UART_IIR	     2 /* read */
#define UART_IIR_NONE	     0x01u
#define UART_IIR_MODEM	     0x00u
#define UART_IIR_TX	     0x02u
#define UART_IIR_RX	     0x04u
#define UART_IIR_LINE	     0x06u
#define UART_IIR_RX_TIMEOUT  0x0cu
#define UART_IIR_FIFO	     0xc0u
#define UART_FCR	     2 /* write */
#define UART_FCR_ENABLE	     BIT(0)
#define UART_FCR_CLEAR_RX    BIT(1)
#define UART_FCR_CLEAR_TX    BIT(2)
#define UART_FCR_DMA	     BIT(3)
#define UART_FCR_TRIGGER     GENMASK(7, 6)
#define UART_LCR	     3
#define UART_LCR_DLAB	     BIT(7)
#define UART_MCR	     4
#define UART_MCR_DTR	     BIT(0)
#define UART_MCR_RTS	     BIT(1)
#define UART_MCR_OUT1	     BIT(2)
#define UART_MCR_OUT2	     BIT(3)
#define UART_MCR_LOOP	     BIT(4)
#define UART_MCR_ALL	     GENMASK(4, 0)
#define UART_LSR	     5
#define UART_LSR_DATA	     BIT(0)
#define UART_LSR_OVERRUN     BIT(1)
#define UART_LSR_PARITY	     BIT(2)
#define UART_LSR_FRAMING     BIT(3)
#define UART_LSR_BREAK	     BIT(4)
#define UART_LSR_THR_EMPTY   BIT(5)
#define UART_LSR_TX_EMPTY    BIT(6)
#define UART_LSR_FIFO_ERROR  BIT(7)
#define UART_LSR_ERRORS	     GENMASK(4, 1)
#define UART_MSR	     6
#define UART_MSR_DELTA_CTS   BIT(0)
#define UART_MSR_DELTA_DSR   BIT(1)
#define UART_MSR_TRAILING_RI BIT(2)
#define UART_MSR_DELTA_DCD   BIT(3)
#define UART_MSR_DELTAS	     GENMASK(3, 0)
#define UART_MSR_CTS	     BIT(4)
#define UART_MSR_DSR	     BIT(5)
#define UART_MSR_RI	     BIT(6)
#define UART_MSR_DCD	     BIT(7)
#define UART_SCR	     7

#define UART_FIFO	     16

#endif
