/* offered.c - components that come from no file of ours to open: scripts. Each is a
 * plugin of its own by name, so that logs, metrics and the stall meter tell them apart.
 *
 * What a name counted outlives its versions, so the plugin stays; the component goes when
 * nobody has a reference any more: neither a configuration nor an instance.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "base/mem.h"
#include "plugin/host.h"
#include "plugin/registry.h"

struct offered {
	struct component component; /* first */
	struct offer offer;
	unsigned refs; /* [main] */
	char *version, *license, *file;
};

/* The name's plugin; made when it is new. */
static struct plugin *
plugin_of(const char *name)
{
	struct plugin *p;

	for (p = registry_plugins(); p != NULL; p = p->next)
		if (p->handle == NULL && strcmp(p->name, name) == 0)
			return p;
	p = mem_zalloc(sizeof(*p));
	if (p == NULL)
		return NULL;
	p->path = mem_strdup(name);
	if (p->path == NULL) {
		mem_free(p);
		return NULL;
	}
	p->fd = -1;
	(void)snprintf(p->name, sizeof(p->name), "%s", name);
	host_fill(&p->host, p);
	registry_add(p);
	return p;
}

static struct offered *
offered_of(const struct part_info *info)
{
	return info->component;
}

static void
free_offered(struct offered *o)
{
	mem_free(o->version);
	mem_free(o->license);
	mem_free(o->file);
	mem_free(o);
}

const struct part_info *
registry_offer(const struct offer *offer, struct err *e)
{
	struct plugin *p = plugin_of(offer->name);
	struct offered *o = mem_zalloc(sizeof(*o));
	enum status st = ST_NOMEM;

	if (o != NULL) {
		o->offer = *offer;
		o->refs = 1;
		o->version = mem_strdup(offer->version);
		o->license = mem_strdup(offer->license);
		o->file = mem_strdup(offer->file);
	}
	if (p != NULL && o != NULL && o->version != NULL && o->license != NULL &&
	    o->file != NULL)
		st = open_component(offer->component, p, &o->component, e);
	else
		(void)err_fail(e, ST_NOMEM, "out of memory");
	if (st != ST_OK) {
		if (o != NULL)
			free_offered(o);
		return NULL;
	}
	o->component.offered = o;
	o->component.info.name = o->component.info.plugin = p->name;
	o->component.info.version = o->version;
	o->component.info.license = o->license;
	o->component.info.file = o->file;
	return &o->component.info;
}

void *
registry_origin(const struct part_info *info)
{
	return offered_of(info)->offer.origin;
}

void
offered_ref(struct offered *o)
{
	o->refs++;
}

void
offered_unref(struct offered *o)
{
	if (--o->refs > 0)
		return;
	o->offer.release(o->offer.origin);
	free_offered(o);
}

void
registry_offer_ref(const struct part_info *info)
{
	offered_ref(offered_of(info));
}

void
registry_offer_unref(const struct part_info *info)
{
	offered_unref(offered_of(info));
}

void
offered_seat(struct offered *o, void *instance)
{
	o->offer.seat(o->offer.origin, instance, &o->component.plugin->host);
}
