# The only place that finds or fetches what others wrote.
#
# Each library is looked for on the system first. What the system lacks is downloaded from its
# upstream repository at the commit of a release: a full commit hash names the content, so nothing
# but that content can arrive. -DLAMINA_FETCH=OFF forbids downloads. Nothing is fetched where
# tools/bootstrap.sh has run on Debian 12, Ubuntu 22.04 or Ubuntu 24.04.
option(LAMINA_FETCH "Download the libraries this system lacks, at pinned commits" ON)
set(LAMINA_DNNL_ROOT "" CACHE PATH "Folder of a oneDNN to use instead of the system's")
include(FetchContent)

# One line a library for the summary; whether an installed lamina could find them again.
set_property(GLOBAL PROPERTY LAMINA_FOUND "")
set_property(GLOBAL PROPERTY LAMINA_NOT_INSTALLABLE "")

function(lamina_found text)
  set_property(GLOBAL APPEND PROPERTY LAMINA_FOUND "${text}")
endfunction()

# Downloads one release and adds it to the build, with its headers as system headers. LINKED: an
# installed liblamina.a needs it, so it has to be installed itself before lamina can be. HEADERS: its
# folder of headers is all that is wanted, and comes back as NAME_HEADERS; nothing of it is built.
function(lamina_fetch name)
  cmake_parse_arguments(PARSE_ARGV 1 F "LINKED" "APT;REPOSITORY;RELEASE;COMMIT;HEADERS"
                        "TARGETS;OPTIONS")
  if(NOT LAMINA_FETCH)
    message(FATAL_ERROR "${name} was not found. Install it (apt-get install ${F_APT}, or run "
                        "tools/bootstrap.sh), or configure with -DLAMINA_FETCH=ON to download it.")
  endif()
  find_package(Git QUIET)
  if(NOT Git_FOUND)
    message(FATAL_ERROR "${name} was not found and git, which could fetch it, is missing too. "
                        "Install the library: apt-get install ${F_APT}")
  endif()
  set(remedy "apt-get install ${F_APT}")
  if(NOT F_APT)
    set(remedy "tools/bootstrap.sh")
  endif()
  message(STATUS "${name} is not on this system (${remedy} would bring it); "
                 "fetching release ${F_RELEASE} from ${F_REPOSITORY}")
  if(F_HEADERS)
    set(no_project SOURCE_SUBDIR "${F_HEADERS}")  # where no CMakeLists.txt is
  endif()
  # Only the one commit is transferred. The hash is checked by git itself.
  FetchContent_Declare(
    ${name}
    DOWNLOAD_COMMAND ${GIT_EXECUTABLE} init --quiet <SOURCE_DIR>
    COMMAND ${GIT_EXECUTABLE} -C <SOURCE_DIR> fetch --quiet --depth 1 ${F_REPOSITORY} ${F_COMMIT}
    COMMAND ${GIT_EXECUTABLE} -C <SOURCE_DIR> -c advice.detachedHead=false checkout --quiet
            --force ${F_COMMIT}
    UPDATE_COMMAND ""
    ${no_project})
  # The options below are plain variables of this function: they reach the library's own option()
  # and set(CACHE) calls and nobody else's.
  set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)
  set(CMAKE_POLICY_DEFAULT_CMP0126 NEW)
  set(BUILD_SHARED_LIBS OFF)
  set(BUILD_TESTING OFF)
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
  set(CMAKE_EXPORT_COMPILE_COMMANDS OFF)
  foreach(option IN LISTS F_OPTIONS)
    string(REGEX MATCH "^([^=]+)=(.*)$" _ "${option}")
    string(REPLACE "," ";" value "${CMAKE_MATCH_2}")
    set(${CMAKE_MATCH_1} "${value}")
  endforeach()
  FetchContent_MakeAvailable(${name})
  FetchContent_GetProperties(${name} SOURCE_DIR source)
  lamina_found("${name} ${F_RELEASE} (fetched)")
  if(F_HEADERS)
    set(${name}_HEADERS "${source}/${F_HEADERS}" PARENT_SCOPE)
    return()
  endif()
  set_property(DIRECTORY "${source}" PROPERTY EXCLUDE_FROM_ALL TRUE)
  foreach(target IN LISTS F_TARGETS)
    get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(folders)
      set_target_properties(${target} PROPERTIES INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${folders}")
    endif()
  endforeach()
  if(F_LINKED)
    set_property(GLOBAL APPEND PROPERTY LAMINA_NOT_INSTALLABLE ${name})
  endif()
endfunction()

# lamina_require(PACKAGE [MINIMUM v] TARGETS t... APT p REPOSITORY url RELEASE r COMMIT hash
#                [LINKED] [OPTIONS name=value...])
# A library with a CMake package: the system's, or fetched.
function(lamina_require package)
  cmake_parse_arguments(PARSE_ARGV 1 R "" "MINIMUM" "TARGETS")
  find_package(${package} ${R_MINIMUM} QUIET)
  if(${package}_FOUND)
    set(version "${${package}_VERSION}")
    if(NOT version)
      set(version "${${package}_VERSION_STRING}")
    endif()
    lamina_found("${package} ${version} (system)")
    return()
  endif()
  lamina_fetch(${package} TARGETS ${R_TARGETS} ${R_UNPARSED_ARGUMENTS})
endfunction()

# --- Toolchain -----------------------------------------------------------------------------------
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 12)
  message(FATAL_ERROR "g++ ${CMAKE_CXX_COMPILER_VERSION} is too old; Lamina wants 12 or newer. Install "
                      "g++-12 and configure with -DCMAKE_CXX_COMPILER=g++-12.")
endif()
find_package(Threads REQUIRED)
find_package(OpenMP QUIET COMPONENTS CXX)
if(NOT OpenMP_CXX_FOUND)
  message(FATAL_ERROR "${CMAKE_CXX_COMPILER} cannot compile OpenMP, which the CPU kernels need. "
                      "Use g++, or install the OpenMP runtime of clang: apt-get install libomp-dev")
endif()
lamina_found("OpenMP ${OpenMP_CXX_VERSION} (compiler)")

# --- Libraries -----------------------------------------------------------------------------------
lamina_require(
  fmt
  MINIMUM 8
  TARGETS fmt
  APT libfmt-dev
  REPOSITORY https://github.com/fmtlib/fmt.git
  RELEASE 10.2.1
  COMMIT e69e5f977d458f2650bb346dadf2ad30c5320281
  LINKED
  OPTIONS FMT_INSTALL=OFF FMT_TEST=OFF FMT_DOC=OFF)

lamina_require(
  nlohmann_json
  MINIMUM 3.10
  TARGETS nlohmann_json
  APT nlohmann-json3-dev
  REPOSITORY https://github.com/nlohmann/json.git
  RELEASE 3.11.3
  COMMIT 9cca280a4d0ccf0c08f47a99aa71d1b0e52f8d03
  OPTIONS JSON_BuildTests=OFF JSON_Install=OFF)

lamina_require(
  CLI11
  MINIMUM 2.1
  TARGETS CLI11
  APT libcli11-dev
  REPOSITORY https://github.com/CLIUtils/CLI11.git
  RELEASE 2.4.2
  COMMIT 6c7b07a878ad834957b98d0f9ce1dbe0cb204fc9
  OPTIONS CLI11_BUILD_TESTS=OFF CLI11_BUILD_EXAMPLES=OFF CLI11_BUILD_DOCS=OFF CLI11_INSTALL=OFF
          CLI11_PRECOMPILED=OFF)

lamina_require(
  ZLIB
  TARGETS zlibstatic
  APT zlib1g-dev
  REPOSITORY https://github.com/madler/zlib.git
  RELEASE 1.3.1
  COMMIT 51b7f2abdade71cd9bb0e7a373ef2610ec6f9daf
  LINKED
  OPTIONS ZLIB_BUILD_EXAMPLES=OFF SKIP_INSTALL_ALL=ON)
if(NOT TARGET ZLIB::ZLIB)
  # zlib generates zconf.h into its build folder and its target names no include folder: the two
  # headers are brought together there. libpng looks for zlib by the two variables below; they are
  # taken back behind it, or the next configuration would take them for the system's.
  FetchContent_GetProperties(ZLIB SOURCE_DIR lamina_zlib BINARY_DIR lamina_zlib_build)
  file(COPY "${lamina_zlib}/zlib.h" DESTINATION "${lamina_zlib_build}")
  target_include_directories(zlibstatic SYSTEM INTERFACE "${lamina_zlib_build}")
  add_library(ZLIB::ZLIB ALIAS zlibstatic)
  set(ZLIB_LIBRARY zlibstatic CACHE STRING "" FORCE)
  set(ZLIB_INCLUDE_DIR "${lamina_zlib_build}" CACHE PATH "" FORCE)
endif()

# Zip archives: PyTorch's weights. Debian's CMake file of libzip insists on the programs of three
# other packages, so header and library are looked for by name. This stands before OpenSSL, because
# libzip's build takes it, asked or not, where it was found already.
find_path(LAMINA_ZIP_INCLUDE zip.h)
find_library(LAMINA_ZIP_LIBRARY zip)
mark_as_advanced(LAMINA_ZIP_INCLUDE LAMINA_ZIP_LIBRARY)
if(LAMINA_ZIP_INCLUDE AND LAMINA_ZIP_LIBRARY)
  set(LAMINA_ZIP "${LAMINA_ZIP_LIBRARY}")
  include_directories(SYSTEM "${LAMINA_ZIP_INCLUDE}")
  lamina_found("libzip (${LAMINA_ZIP_LIBRARY})")
else()
  # Stored entries are all that is read: no compression but zlib's, no encryption, no programs.
  lamina_fetch(
    libzip
    TARGETS zip
    APT libzip-dev
    REPOSITORY https://github.com/nih-at/libzip.git
    RELEASE 1.11.4
    COMMIT 6f8a0cdd24a0dc6cce9dac4a7679da784ab124ea
    LINKED
    OPTIONS
      ENABLE_BZIP2=OFF
      ENABLE_COMMONCRYPTO=OFF
      ENABLE_GNUTLS=OFF
      ENABLE_LZMA=OFF
      ENABLE_MBEDTLS=OFF
      ENABLE_OPENSSL=OFF
      ENABLE_ZSTD=OFF
      BUILD_DOC=OFF
      BUILD_EXAMPLES=OFF
      BUILD_OSSFUZZ=OFF
      BUILD_REGRESS=OFF
      BUILD_TOOLS=OFF
      LIBZIP_DO_INSTALL=OFF)
  set(LAMINA_ZIP libzip::zip)
endif()

# Tar archives: data sets. This stands before OpenSSL for the same reason as libzip.
lamina_require(
  LibArchive
  TARGETS archive_static
  APT libarchive-dev
  REPOSITORY https://github.com/libarchive/libarchive.git
  RELEASE 3.8.9
  COMMIT 27cbc7827172698143e440801fc0ba39ccb4f1f5
  LINKED
  OPTIONS
    ENABLE_ACL=OFF
    ENABLE_BZip2=OFF
    ENABLE_CAT=OFF
    ENABLE_CPIO=OFF
    ENABLE_EXPAT=OFF
    ENABLE_ICONV=OFF
    ENABLE_INSTALL=OFF
    ENABLE_LIBB2=OFF
    ENABLE_LIBXML2=OFF
    ENABLE_LZ4=OFF
    ENABLE_LZMA=OFF
    ENABLE_OPENSSL=OFF
    ENABLE_TAR=OFF
    ENABLE_TEST=OFF
    ENABLE_UNZIP=OFF
    ENABLE_WERROR=OFF
    ENABLE_XATTR=OFF
    ENABLE_ZSTD=OFF)
if(NOT TARGET LibArchive::LibArchive)
  add_library(LibArchive::LibArchive ALIAS archive_static)
endif()

# Downloads and their checksums. A fetched TLS stack would miss the system's security updates, so
# these two come from the system or not at all; and so does libjpeg, whose build refuses to be part
# of another.
foreach(package IN ITEMS CURL OpenSSL JPEG)
  find_package(${package} QUIET)
  if(NOT ${package}_FOUND)
    message(FATAL_ERROR "${package} was not found. Install it (apt-get install libcurl4-openssl-dev "
                        "libssl-dev libjpeg-dev, or run tools/bootstrap.sh).")
  endif()
endforeach()
lamina_found("libjpeg ${JPEG_VERSION} (system)")
lamina_found("libcurl ${CURL_VERSION_STRING} (system)")
lamina_found("OpenSSL ${OPENSSL_VERSION} (system)")

# PNG files: contact sheets, and photographs.
lamina_require(
  PNG
  TARGETS png_static
  APT libpng-dev
  REPOSITORY https://github.com/pnggroup/libpng.git
  RELEASE 1.6.58
  COMMIT 3061454d980de7d53608f594194cfac722721d2a
  LINKED
  OPTIONS PNG_SHARED=OFF PNG_TESTS=OFF PNG_TOOLS=OFF SKIP_INSTALL_ALL=ON)
if(NOT TARGET PNG::PNG)
  add_library(PNG::PNG ALIAS png_static)
endif()
if(TARGET zlibstatic)
  unset(ZLIB_LIBRARY CACHE)
  unset(ZLIB_INCLUDE_DIR CACHE)
endif()

# oneDNN: the engine of the CPU kernels; 2.x and 3.x differ, the kernels know both. Debian builds its
# 2.6 with OpenCL and the package's CMake file insists on finding it: apt-get install
# ocl-icd-opencl-dev, as tools/bootstrap.sh does.
set(LAMINA_DNNL_MINIMUM 2.5)
if(LAMINA_DNNL_ROOT)
  set(lamina_dnnl_search PATHS "${LAMINA_DNNL_ROOT}" NO_DEFAULT_PATH)
endif()
find_package(dnnl 3 QUIET CONFIG ${lamina_dnnl_search})
if(NOT dnnl_FOUND)
  find_package(dnnl ${LAMINA_DNNL_MINIMUM} QUIET CONFIG ${lamina_dnnl_search})
endif()
if(dnnl_FOUND)
  set(LAMINA_DNNL_VERSION ${dnnl_VERSION})
  lamina_found("oneDNN ${dnnl_VERSION} (${dnnl_DIR})")
  if(DNNL_CPU_THREADING_RUNTIME AND NOT DNNL_CPU_THREADING_RUNTIME STREQUAL "OMP")
    message(WARNING "The oneDNN of ${dnnl_DIR} runs on ${DNNL_CPU_THREADING_RUNTIME}, not OpenMP: "
                    "--threads will not reach it. Build oneDNN with ONEDNN_CPU_RUNTIME=OMP.")
  endif()
elseif(LAMINA_DNNL_ROOT)
  message(FATAL_ERROR "LAMINA_DNNL_ROOT=${LAMINA_DNNL_ROOT} holds no oneDNN ${LAMINA_DNNL_MINIMUM} "
                      "or newer (looked for dnnl-config.cmake). Name the folder oneDNN was "
                      "installed to, or leave the option out to use the system's.")
else()
  # Only what training needs: no graph API, no recurrent or attention primitives.
  lamina_fetch(
    dnnl
    TARGETS dnnl
    APT libdnnl-dev
    REPOSITORY https://github.com/uxlfoundation/oneDNN.git
    RELEASE 3.11.4
    COMMIT d12237cf4d6abd3a7dbaeb53d30f8b65ddc79add
    LINKED
    OPTIONS
      DNNL_LIBRARY_TYPE=STATIC
      DNNL_CPU_RUNTIME=OMP
      DNNL_GPU_RUNTIME=NONE
      DNNL_BUILD_DOC=OFF
      DNNL_BUILD_EXAMPLES=OFF
      DNNL_BUILD_TESTS=OFF
      ONEDNN_BUILD_GRAPH=OFF
      DNNL_ENABLE_PRIMITIVE=BATCH_NORMALIZATION,BINARY,CONCAT,CONVOLUTION,DECONVOLUTION,ELTWISE,INNER_PRODUCT,LRN,MATMUL,POOLING,REDUCTION,REORDER,RESAMPLING,SOFTMAX,SUM
  )
  add_library(DNNL::dnnl ALIAS dnnl)
  set(LAMINA_DNNL_VERSION 3.11.4)
endif()
set(LAMINA_DNNL DNNL::dnnl)

if(LAMINA_TESTS)
  lamina_require(
    GTest
    MINIMUM 1.11
    TARGETS gtest gtest_main
    APT libgtest-dev
    REPOSITORY https://github.com/google/googletest.git
    RELEASE 1.14.0
    COMMIT f8d7d77c06936315286eb55f8de22cd23c188571
    OPTIONS INSTALL_GTEST=OFF BUILD_GMOCK=OFF)
endif()

# --- CUDA ----------------------------------------------------------------------------------------
# The CUDA backend wants three things: the toolkit (with nvcc), cuDNN 9.2 or newer and the headers of
# cudnn-frontend. LAMINA_CUDA_PLACES collects where they were looked for.
set(LAMINA_CUDNN_MINIMUM 9.2)
set(LAMINA_CUDNN_FRONTEND_ROOT "" CACHE PATH "Folder that holds include/cudnn_frontend.h")
set(LAMINA_CUDA_PLACES "")

# Folders of the Python packages of this machine: NVIDIA publishes its libraries there too.
function(lamina_python_folders result)
  set(folders "")
  find_program(LAMINA_PYTHON python3)
  mark_as_advanced(LAMINA_PYTHON)
  if(LAMINA_PYTHON)
    execute_process(
      COMMAND ${LAMINA_PYTHON} -c
              "import site; print(';'.join(site.getsitepackages() + [site.getusersitepackages()]))"
      OUTPUT_VARIABLE folders OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
  set(${result} "${folders}" PARENT_SCOPE)
endfunction()

# The toolkit's version into LAMINA_CUDA_TOOLKIT, empty when there is none.
function(lamina_find_toolkit)
  find_package(CUDAToolkit QUIET)
  set(LAMINA_CUDA_TOOLKIT "" PARENT_SCOPE)
  if(CUDAToolkit_FOUND AND CUDAToolkit_NVCC_EXECUTABLE)
    set(LAMINA_CUDA_TOOLKIT "${CUDAToolkit_VERSION}" PARENT_SCOPE)
    set(LAMINA_CUDA_HOME "${CUDAToolkit_TARGET_DIR}" PARENT_SCOPE)
    set(LAMINA_NVCC "${CUDAToolkit_NVCC_EXECUTABLE}" PARENT_SCOPE)
  endif()
  foreach(name IN ITEMS CUDAToolkit_ROOT CUDA_PATH)
    set(value "$ENV{${name}}")
    if(${name})
      set(value "${${name}}")
    endif()
    if(NOT value)
      set(value "not set")
    endif()
    list(APPEND places "${name}: ${value}")
  endforeach()
  list(APPEND places "nvcc on PATH: $ENV{PATH}" "/usr/local/cuda, /usr/local/cuda-*, /usr/lib/cuda")
  set(LAMINA_CUDA_PLACES "${places}" PARENT_SCOPE)
endfunction()

# cuDNN's version into LAMINA_CUDNN, empty when the header or the library is missing; its folder of
# headers and its library beside it. A wheel brings libcudnn.so.9 alone, without the plain name.
function(lamina_find_cudnn)
  lamina_python_folders(wheels)
  list(TRANSFORM wheels APPEND "/nvidia/cudnn")
  set(roots ${CUDNN_ROOT} $ENV{CUDNN_ROOT} $ENV{CUDNN_PATH} ${LAMINA_CUDA_HOME} /usr/local/cuda /usr
            ${wheels})
  list(REMOVE_DUPLICATES roots)
  list(TRANSFORM roots PREPEND "cuDNN below " OUTPUT_VARIABLE places)
  set(LAMINA_CUDA_PLACES ${LAMINA_CUDA_PLACES} ${places} PARENT_SCOPE)
  set(LAMINA_CUDNN "" PARENT_SCOPE)
  foreach(root IN LISTS roots)
    file(GLOB header "${root}/include/cudnn_version.h"
         "${root}/include/${CMAKE_LIBRARY_ARCHITECTURE}/cudnn_version*.h")
    file(GLOB library "${root}/lib64/libcudnn.so" "${root}/lib/libcudnn.so"
         "${root}/lib/${CMAKE_LIBRARY_ARCHITECTURE}/libcudnn.so" "${root}/lib64/libcudnn.so.9"
         "${root}/lib/libcudnn.so.9" "${root}/lib/${CMAKE_LIBRARY_ARCHITECTURE}/libcudnn.so.9")
    if(header AND library)
      list(GET header 0 header)
      list(GET library 0 library)
      file(STRINGS "${header}" lines REGEX "^#define CUDNN_(MAJOR|MINOR|PATCHLEVEL) ")
      string(REGEX REPLACE "#define CUDNN_[A-Z]+ " "" lines "${lines}")
      string(REPLACE ";" "." version "${lines}")
      get_filename_component(include "${header}" DIRECTORY)
      set(LAMINA_CUDNN "${version}" PARENT_SCOPE)
      set(LAMINA_CUDNN_INCLUDE "${include}" PARENT_SCOPE)
      set(LAMINA_CUDNN_LIBRARY "${library}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
endfunction()

# The folder of cudnn_frontend.h into LAMINA_CUDNN_FRONTEND, empty when it is nowhere.
# tools/bootstrap.sh puts the headers of the PyPI package into the cache folder.
function(lamina_find_cudnn_frontend)
  lamina_python_folders(wheels)
  set(cache "$ENV{XDG_CACHE_HOME}")
  if(NOT cache)
    set(cache "$ENV{HOME}/.cache")
  endif()
  set(roots ${LAMINA_CUDNN_FRONTEND_ROOT} $ENV{CUDNN_FRONTEND_ROOT} "${cache}/lamina/cudnn-frontend"
            ${LAMINA_CUDA_HOME} /usr/local /usr ${wheels})
  list(TRANSFORM roots PREPEND "cudnn-frontend below " OUTPUT_VARIABLE places)
  set(LAMINA_CUDA_PLACES ${LAMINA_CUDA_PLACES} ${places} PARENT_SCOPE)
  set(LAMINA_CUDNN_FRONTEND "" PARENT_SCOPE)
  foreach(root IN LISTS roots)
    if(EXISTS "${root}/include/cudnn_frontend.h")
      set(LAMINA_CUDNN_FRONTEND "${root}/include" PARENT_SCOPE)
      return()
    endif()
  endforeach()
endfunction()

# The last place: upstream. Where that cannot be reached either, the headers are missing and no more;
# FetchContent would end the configuration.
function(lamina_fetch_cudnn_frontend)
  set(repository https://github.com/NVIDIA/cudnn-frontend.git)
  find_package(Git QUIET)
  if(NOT LAMINA_FETCH OR NOT Git_FOUND)
    return()
  endif()
  execute_process(COMMAND ${GIT_EXECUTABLE} ls-remote --quiet ${repository} HEAD
                  TIMEOUT 30 RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
  if(failed)
    set(LAMINA_CUDA_PLACES ${LAMINA_CUDA_PLACES} "${repository} (not reached)" PARENT_SCOPE)
    return()
  endif()
  lamina_fetch(
    cudnn-frontend
    REPOSITORY ${repository}
    RELEASE 1.23.0
    COMMIT fb682ce761a2705e40f9b5d528737a3e0eb33cec
    HEADERS include)
  set(LAMINA_CUDNN_FRONTEND "${cudnn-frontend_HEADERS}" PARENT_SCOPE)
endfunction()

string(TOUPPER "${LAMINA_CUDA}" lamina_cuda_wish)
if(NOT lamina_cuda_wish MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "LAMINA_CUDA=${LAMINA_CUDA} is not one of AUTO, ON and OFF.")
endif()
set(LAMINA_WITH_CUDA OFF)
if(lamina_cuda_wish STREQUAL "OFF")
  set(LAMINA_CUDA_DECISION "off, as asked (LAMINA_CUDA=OFF)")
else()
  lamina_find_toolkit()
  lamina_find_cudnn()
  lamina_find_cudnn_frontend()
  if(LAMINA_CUDA_TOOLKIT AND LAMINA_CUDNN AND NOT LAMINA_CUDNN_FRONTEND)
    lamina_fetch_cudnn_frontend()
  endif()
  set(lamina_missing "")
  if(NOT LAMINA_CUDA_TOOLKIT)
    list(APPEND lamina_missing "the CUDA toolkit with nvcc")
  elseif(LAMINA_CUDA_TOOLKIT VERSION_LESS 12)
    list(APPEND lamina_missing "CUDA 12 or newer (there is ${LAMINA_CUDA_TOOLKIT})")
  endif()
  if(NOT LAMINA_CUDNN)
    list(APPEND lamina_missing "cuDNN")
  elseif(LAMINA_CUDNN VERSION_LESS LAMINA_CUDNN_MINIMUM)
    list(APPEND lamina_missing "cuDNN ${LAMINA_CUDNN_MINIMUM} or newer (there is ${LAMINA_CUDNN})")
  endif()
  if(NOT LAMINA_CUDNN_FRONTEND)
    list(APPEND lamina_missing "the headers of cudnn-frontend (tools/bootstrap.sh gets them)")
  endif()
  list(JOIN lamina_missing ", " lamina_missing)
  if(NOT lamina_missing)
    set(LAMINA_WITH_CUDA ON)
  elseif(lamina_cuda_wish STREQUAL "ON")
    list(JOIN LAMINA_CUDA_PLACES "\n  " lamina_places)
    message(FATAL_ERROR "LAMINA_CUDA=ON, but this is missing: ${lamina_missing}. Looked in\n  "
                        "${lamina_places}\nInstall what is missing, name its folder with "
                        "-DCUDAToolkit_ROOT=, -DCUDNN_ROOT= or -DLAMINA_CUDNN_FRONTEND_ROOT=, or "
                        "configure with LAMINA_CUDA=AUTO or OFF.")
  else()
    set(LAMINA_CUDA_DECISION "off, missing: ${lamina_missing}; trains on the CPU")
  endif()
endif()

if(LAMINA_WITH_CUDA)
  set(CMAKE_CUDA_COMPILER "${LAMINA_NVCC}" CACHE FILEPATH "nvcc")
  if(NOT CMAKE_CUDA_HOST_COMPILER AND NOT DEFINED ENV{CUDAHOSTCXX})
    set(CMAKE_CUDA_HOST_COMPILER "${CMAKE_CXX_COMPILER}")
  endif()
  # Ampere, Hopper and, where the toolkit knows it, Blackwell; the newest as PTX too, for what comes.
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    execute_process(COMMAND "${LAMINA_NVCC}" --list-gpu-arch OUTPUT_VARIABLE lamina_known_archs)
    set(lamina_archs 80-real 90)
    if(lamina_known_archs MATCHES "compute_100")
      set(lamina_archs 80-real 90-real 100)
    endif()
    set(CMAKE_CUDA_ARCHITECTURES "${lamina_archs}" CACHE STRING "GPUs to compile for")
  endif()
  set(CMAKE_CUDA_FLAGS_RELEASE "-O2 -DNDEBUG")
  enable_language(CUDA)
  # CMake learnt nvcc's flag for C++20 later than nvcc did.
  if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
  set(CMAKE_CUDA_STANDARD 20)

  # Everything a source of kernels/cuda may include and link. The driver's library is not linked: the
  # runtime loads it when there is one, so a binary starts on any machine. Nor is cuBLASLt, which
  # is loaded when a GPU is used (kernels/cuda/cublaslt.h).
  add_library(lamina_cuda_libraries INTERFACE)
  target_include_directories(lamina_cuda_libraries SYSTEM
                             INTERFACE "${LAMINA_CUDNN_INCLUDE}" "${LAMINA_CUDNN_FRONTEND}")
  target_link_libraries(lamina_cuda_libraries INTERFACE CUDA::cudart_static CUDA::nvrtc "${LAMINA_CUDNN_LIBRARY}"
                                                        ${CMAKE_DL_LIBS})
  list(JOIN CMAKE_CUDA_ARCHITECTURES " " lamina_archs)
  set(LAMINA_CUDA_DECISION "on: toolkit ${LAMINA_CUDA_TOOLKIT}, cuDNN ${LAMINA_CUDNN}, for ${lamina_archs}")
  if(NOT LAMINA_CUDNN_FRONTEND MATCHES "/_deps/")
    lamina_found("cudnn-frontend (${LAMINA_CUDNN_FRONTEND})")
  endif()
endif()

# --- Summary -------------------------------------------------------------------------------------
# Called last: one block that says what was decided and why.
function(lamina_summary)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  string(STRIP "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}}" flags)
  list(JOIN LAMINA_CPU_FLAGS " " cpu_flags)
  set(sanitizers "${LAMINA_SANITIZE}")
  if(NOT sanitizers)
    set(sanitizers "none")
  endif()
  set(tests "on")
  if(NOT LAMINA_TESTS)
    set(tests "off")
  endif()
  get_property(not_installable GLOBAL PROPERTY LAMINA_NOT_INSTALLABLE)
  set(install "on (${CMAKE_INSTALL_PREFIX})")
  if(not_installable)
    list(JOIN not_installable ", " names)
    set(install "off: ${names} fetched; install them as packages for find_package(lamina)")
  endif()
  get_property(found GLOBAL PROPERTY LAMINA_FOUND)
  list(JOIN found "\n               " libraries)
  message(STATUS "
  Lamina ${PROJECT_VERSION}
    compiler   ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} (${CMAKE_CXX_COMPILER})
    build type ${CMAKE_BUILD_TYPE}: ${flags}
    CPU rooms  ${cpu_flags}
    sanitizers ${sanitizers}
    tests      ${tests}
    CUDA       ${LAMINA_CUDA_DECISION}
    libraries  ${libraries}
    install    ${install}
")
endfunction()
