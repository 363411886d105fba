# latenza.m4 - for configure.ac of projects that build plugins of Latenza.
# SPDX-License-Identifier: MIT
#
# LATENZA_PLUGIN_INIT
#
# Looks for the SDK by pkg-config, and stops configure with a sentence where it is missing. Call it after AC_PROG_CC and
# LT_INIT. It sets, for Makefile.am:
#
#   LATENZA_CFLAGS         how a plugin's sources, and those of its tests, are compiled
#   LATENZA_LDFLAGS        how libtool links a plugin, beside the -module that automake wants to see: no version, no
#                          symbol left undefined
#   LATENZA_TESTHOST_LIBS  what a test links: the fake host
#   LATENZA_PLUGINSDIR     where the gateway looks for plugins; --with-latenza-plugins-dir=DIR names another
AC_DEFUN([LATENZA_PLUGIN_INIT], [
AC_REQUIRE([PKG_PROG_PKG_CONFIG])
PKG_CHECK_EXISTS([latenza latenza-testhost], [], [AC_MSG_ERROR([
pkg-config does not find latenza: install it, or set PKG_CONFIG_PATH to its lib/pkgconfig])])
AC_ARG_WITH([latenza-plugins-dir],
    [AS_HELP_STRING([--with-latenza-plugins-dir=DIR], [where plugins go; default: where Latenza looks])],
    [LATENZA_PLUGINSDIR=$withval],
    [LATENZA_PLUGINSDIR=`$PKG_CONFIG --variable=pluginsdir latenza`])
LATENZA_CFLAGS="-std=c11 -D_DEFAULT_SOURCE -fvisibility=hidden `$PKG_CONFIG --cflags latenza latenza-testhost`"
LATENZA_LDFLAGS="-avoid-version -shared -Wl,-z,defs"
LATENZA_TESTHOST_LIBS=`$PKG_CONFIG --libs latenza-testhost`
AC_SUBST([LATENZA_CFLAGS])
AC_SUBST([LATENZA_LDFLAGS])
AC_SUBST([LATENZA_TESTHOST_LIBS])
AC_SUBST([LATENZA_PLUGINSDIR])
])
