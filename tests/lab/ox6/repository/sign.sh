#!/bin/sh
# Makes a flat apt repository of the packages in a folder, and signs it.
set -eu
cd "$1"
apt-ftparchive packages . > Packages
gzip -9nk Packages
apt-ftparchive -o APT::FTPArchive::Release::Origin=Open-Xchange -o APT::FTPArchive::Release::Label=Open-Xchange release . > Release.new
mv Release.new Release
gpg --batch --quiet --yes --clearsign --output InRelease Release
gpg --batch --quiet --yes --armor --detach-sign --output Release.gpg Release
gpg --batch --armor --export > key.asc
