// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/picture.h"

#include <string.h>

#include "base/bits.h"

#define PICTURE_ROW	  26 /* height of one line */
#define PICTURE_STEP	  28 /* indent of one level */
#define PICTURE_TOP	  64 /* room for the title */
#define PICTURE_LEFT	  24
#define PICTURE_BOX	  250 /* width of a function's box */
#define PICTURE_MAX_DEPTH 16  /* deeper ones are drawn at this indent */
#define PICTURE_REASONS	  8   /* shown per group */

struct picture {
	FILE *to;
	const struct host_isolation *isolation;
	const struct host_names *names;
	unsigned int row;
	unsigned int columns; /* x of the text columns */
};

/* Text between tags: what came from the host may hold anything printable. */
static void picture_text(FILE *to, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			fputs("&lt;", to);
			break;
		case '>':
			fputs("&gt;", to);
			break;
		case '&':
			fputs("&amp;", to);
			break;
		default:
			fputc(*text, to);
		}
	}
}

static void picture_label(const struct picture *picture, unsigned int x, unsigned int y,
			  const char *class, const char *text)
{
	fprintf(picture->to, "<text x=\"%u\" y=\"%u\" class=\"%s\">", x, y, class);
	picture_text(picture->to, text);
	fputs("</text>\n", picture->to);
}

static unsigned int picture_y(unsigned int row)
{
	return PICTURE_TOP + row * PICTURE_ROW;
}

static unsigned int picture_x(const struct picture *picture, int index)
{
	unsigned int depth = picture->isolation->topology->node[index].depth;

	return PICTURE_LEFT +
	       PICTURE_STEP * (depth < PICTURE_MAX_DEPTH ? depth : PICTURE_MAX_DEPTH);
}

/* Groups of one are grey; others take turns in eight hues, so neighbours differ. */
static void picture_colour(const struct picture *picture, int group, char *buf, size_t size)
{
	const int *member;

	if (group < 0 || host_isolation_members(picture->isolation, group, &member) < 2)
		snprintf(buf, size, "#eef1f4");
	else
		snprintf(buf, size, "hsl(%d,70%%,86%%)", group * 135 % 360);
}

static void picture_acs(const struct host_function *f, char *buf, size_t size)
{
	uint16_t missing;

	buf[0] = '\0';
	if (!f->config.express || !host_function_is_bridge(f))
		return;
	switch (host_function_isolated(f, &missing)) {
	case HOST_YES:
		/* A single function has no peers to keep apart. */
		if (f->config.acs)
			snprintf(buf, size, "ACS holds");
		break;
	case HOST_NO:
		if (f->config.acs) {
			char bits[HOST_ACS_TEXT];

			snprintf(buf, size, "ACS off: %s", host_acs_format(missing, bits));
		} else {
			snprintf(buf, size, "no ACS");
		}
		break;
	default:
		snprintf(buf, size, "ACS not visible");
	}
}

static void picture_function(const struct picture *picture, int index)
{
	const struct host_function *f = host_topology_at(picture->isolation->topology, index);
	unsigned int x = picture_x(picture, index), y = picture_y(picture->row);
	char colour[40], text[160], acs[48];
	bool bridge = host_function_is_bridge(f);

	picture_colour(picture, f->group, colour, sizeof(colour));
	fprintf(picture->to,
		"<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" rx=\"%u\" fill=\"%s\" "
		"stroke=\"#667\" stroke-width=\"%s\"/>\n",
		x, y, PICTURE_BOX, PICTURE_ROW - 6, bridge ? 2 : 9, colour, bridge ? "0.6" : "1.2");
	snprintf(text, sizeof(text), "%s", f->name);
	picture_label(picture, x + 8, y + 14, "a", text);
	host_names_class(picture->names, f->class_code, text, 20);
	picture_label(picture, x + 106, y + 14, "n", text);
	if (f->group >= 0)
		snprintf(text, sizeof(text), "group %d", f->group);
	else
		snprintf(text, sizeof(text), "no group");
	picture_label(picture, picture->columns, y + 14, "g", text);
	picture_label(picture, picture->columns + 80, y + 14, "n",
		      f->driver[0] ? f->driver : "no driver");
	if (f->numa_node >= 0) {
		snprintf(text, sizeof(text), "node %d", f->numa_node);
		picture_label(picture, picture->columns + 190, y + 14, "n", text);
	}
	picture_acs(f, acs, sizeof(acs));
	picture_label(picture, picture->columns + 250, y + 14, strcmp(acs, "ACS holds") ? "w" : "n",
		      acs);
	if (!acs[0]) {
		host_names_device(picture->names, f->vendor, f->device, text, 64);
		picture_label(picture, picture->columns + 250, y + 14, "n", text);
	}
}

/* A function, the line that leads to it, and all below it. */
static void picture_subtree(struct picture *picture, int index, unsigned int parent_row)
{
	const struct host_node *node = &picture->isolation->topology->node[index];
	unsigned int own_row = picture->row;
	int child;

	if (node->parent != HOST_NONE) {
		unsigned int x = picture_x(picture, node->parent) + 10;

		fprintf(picture->to, "<path d=\"M%u %uV%uH%u\" class=\"l\"/>\n", x,
			picture_y(parent_row) + PICTURE_ROW - 6,
			picture_y(own_row) + (PICTURE_ROW - 6) / 2, picture_x(picture, index));
	}
	picture_function(picture, index);
	picture->row++;
	for (child = node->first_child; child != HOST_NONE;
	     child = picture->isolation->topology->node[child].next_sibling)
		picture_subtree(picture, child, own_row);
}

/* Below the tree: each group of more than one, and why it is one. */
static void picture_reasons(struct picture *picture)
{
	const struct host_inventory *inventory = picture->isolation->topology->inventory;

	for (size_t i = 0; i < inventory->nr_functions; i++) {
		const struct host_function *f = &inventory->function[i];
		struct host_reason reason[PICTURE_REASONS];
		const int *member;
		char text[300], colour[40];
		size_t nr;

		if (f->group < 0 ||
		    host_isolation_members(picture->isolation, f->group, &member) < 2 ||
		    member[0] != (int)i)
			continue;
		picture_colour(picture, f->group, colour, sizeof(colour));
		fprintf(picture->to,
			"<rect x=\"%u\" y=\"%u\" width=\"14\" height=\"14\" fill=\"%s\" "
			"stroke=\"#667\"/>\n",
			PICTURE_LEFT, picture_y(picture->row) + 3, colour);
		snprintf(text, sizeof(text), "group %d", f->group);
		picture_label(picture, PICTURE_LEFT + 24, picture_y(picture->row) + 14, "g", text);
		nr = host_isolation_explain(picture->isolation, f->group, reason,
					    ARRAY_SIZE(reason));
		for (size_t k = 0; k < nr && k < ARRAY_SIZE(reason); k++)
			picture_label(picture, PICTURE_LEFT + 110, picture_y(picture->row++) + 14,
				      "n", host_reason_format(&reason[k], text, sizeof(text)));
		picture->row += !nr;
	}
}

/* Lines the reasons will take: the picture's height is written before them. */
static unsigned int picture_reason_rows(const struct host_isolation *isolation)
{
	const struct host_inventory *inventory = isolation->topology->inventory;
	unsigned int rows = 0;

	for (size_t i = 0; i < inventory->nr_functions; i++) {
		int group = inventory->function[i].group;
		struct host_reason reason[PICTURE_REASONS];
		const int *member;
		size_t nr;

		if (group < 0 || host_isolation_members(isolation, group, &member) < 2 ||
		    member[0] != (int)i)
			continue;
		nr = host_isolation_explain(isolation, group, reason, ARRAY_SIZE(reason));
		rows += nr ? (unsigned int)min_u64(nr, PICTURE_REASONS) : 1;
	}
	return rows;
}

void host_picture_write(FILE *to, const struct host_isolation *isolation,
			const struct host_names *names)
{
	const struct host_topology *topology = isolation->topology;
	size_t nr = topology->inventory->nr_functions;
	struct picture picture = { .to = to, .isolation = isolation, .names = names };
	unsigned int depth = 0, width, height;
	int root;

	for (size_t i = 0; i < nr; i++)
		depth = topology->node[i].depth > depth ? topology->node[i].depth : depth;
	depth = depth < PICTURE_MAX_DEPTH ? depth : PICTURE_MAX_DEPTH;
	picture.columns = PICTURE_LEFT + PICTURE_STEP * depth + PICTURE_BOX + 16;
	width = picture.columns + 250 + 420;
	height = picture_y((unsigned int)nr + 1 + picture_reason_rows(isolation)) + 16;
	fprintf(to,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
		"viewBox=\"0 0 %u %u\">\n"
		"<style>text{font:12px sans-serif;fill:#223}.t{font-size:18px;font-weight:bold}"
		".a{font-family:monospace}.g{font-weight:bold}.w{fill:#b02a2a;font-weight:bold}"
		".n{fill:#445}.l{fill:none;stroke:#99a;stroke-width:1.2}</style>\n"
		"<rect width=\"%u\" height=\"%u\" fill=\"#fff\"/>\n",
		width, height, width, height, width, height);
	picture_label(&picture, PICTURE_LEFT, 30, "t", "PCI devices and their IOMMU groups");
	picture_label(
		&picture, PICTURE_LEFT, 50, "n",
		"Square corners: ports and bridges. One colour: one group, given to one VM or "
		"to none. Grey: a group of its own.");
	for (root = topology->first_root; root != HOST_NONE;
	     root = topology->node[root].next_sibling)
		picture_subtree(&picture, root, 0);
	picture.row++;
	picture_reasons(&picture);
	fputs("</svg>\n", to);
}
