# What is installed, and the Debian package that CPack makes of it: cmake --build build/release --target package
#
# Component `binary` is all that the image takes; `service` is for a machine with systemd.
include(GNUInstallDirs)

install(TARGETS millrace COMPONENT binary)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright COMPONENT service)
install(FILES README.md CHANGELOG.md docs/operations.md docs/packaging.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT service)
if(MR_DOCS_PAGE)
    install(FILES ${PROJECT_BINARY_DIR}/page/licenses.txt DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME apidoc-licenses.txt COMPONENT service)
endif()
install(FILES packaging/systemd/millrace-api.service packaging/systemd/millrace-scheduler.service
    DESTINATION lib/systemd/system COMPONENT service)
install(FILES packaging/etc/millrace.env packaging/etc/api.env packaging/etc/scheduler.env
    DESTINATION /etc/millrace PERMISSIONS OWNER_READ OWNER_WRITE COMPONENT service)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME millrace)
set(CPACK_PACKAGE_CONTACT "The Millrace authors <millrace@example.org>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "backend for users and their tasks that batches by itself")
set(CPACK_PACKAGE_DESCRIPTION "An HTTP/JSON API and durable scheduled jobs on PostgreSQL, in one binary.
What waits in an actor's mailbox becomes one SQL statement: the busier it gets,
the less a request costs. Two services, millrace-api and millrace-scheduler; the
settings stand in /etc/millrace, and neither is started before they do.")
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_SET_DESTDIR ON) # the settings lie outside the prefix
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# The event loop is a plug-in that libwebsockets opens at run time, so no library names it.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libwebsockets-evlib-ev, tzdata")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "postgresql")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
foreach(script conffiles postinst prerm postrm)
    list(APPEND CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/packaging/deb/${script})
endforeach()
include(CPack)
